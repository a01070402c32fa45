"""A shop: orders are charged, packed and sent, and customers are asked how they liked it."""
