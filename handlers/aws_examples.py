"""The Lambda entrypoint that serves all examples: ``handlers.aws_examples.handler``."""

from handlers.workflows.expense_approval import expense_approval
from handlers.workflows.nightly_invoices import mail_invoices, nightly_invoices
from handlers.workflows.onboarding import account_created
from handlers.workflows.order_saga import place_order
from handlers.workflows.sales_report import sales_report
from handlers.workflows.ticket_summary import ticket_summary
from handlers.workflows.upload_processing import process_upload
from inngest_serverless import inngest_lambda

FUNCTIONS = (
    account_created,
    place_order,
    sales_report,
    nightly_invoices,
    mail_invoices,
    ticket_summary,
    expense_approval,
    process_upload,
)

handler = inngest_lambda(FUNCTIONS, app_id="examples")
