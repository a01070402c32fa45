"""The development server: an embedded engine and the cloud gateways it stands in for."""
