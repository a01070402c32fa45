"""Make a report from figures of every region: all regions at once, each with retries of its own."""

import asyncio
from typing import TypedDict

from inngest_serverless import AsyncContext, Concurrency, create_function, event_trigger


class RegionSales(TypedDict):
    """A region's figures."""

    region: str
    cents: int


SALES = {"north": 120_00, "south": 340_00, "west": 75_50}


async def fetch_sales(region: str) -> RegionSales:
    """Ask a region's own system, which may be slow."""
    await asyncio.sleep(0)
    return {"region": region, "cents": SALES[region]}


async def render_report(sales: list[RegionSales]) -> str:
    """Write the report; returns where it is."""
    total = sum(each["cents"] for each in sales)
    return f"reports/{len(sales)}-regions-{total}.html"


@create_function(
    id="sales-report",
    trigger=event_trigger("reports/requested"),
    # No more than three requests to the regions' systems at once, whoever asks for reports.
    concurrency=Concurrency(limit=3),
)
async def sales_report(ctx: AsyncContext) -> str:
    """Fan out to the regions, then put their answers together."""
    regions: list[str] = ctx.event.data["regions"]
    sales = await asyncio.gather(*[ctx.step.run(f"fetch-{region}", fetch_sales, region) for region in regions])
    return await ctx.step.run("render", render_report, list(sales))
