"""Have a person approve an expense: the run waits for days, and costs nothing meanwhile."""

from pydantic import BaseModel

from inngest_serverless import Cancel, Context, Event, create_function, event_trigger


class Expense(BaseModel):
    """What is to be paid back."""

    expense_id: str
    employee: str
    cents: int


class ExpenseFiled(Event[Expense], name="expenses/filed"):
    """Somebody filed an expense."""


SMALL_CENTS = 50_00


def ask_manager(expense_id: str, signal: str) -> None:
    """Send a message with a button; the button's handler sends the signal."""


def remind_manager(expense_id: str) -> None:
    """Send the message once more."""


def pay(expense_id: str, cents: int) -> str:
    """Pay it back; returns the transfer."""
    return f"transfer-{expense_id}-{cents}"


@create_function(
    id="expense-approval",
    trigger=event_trigger(ExpenseFiled),
    cancel=Cancel(event="expenses/withdrawn", if_exp="event.data.expense_id == async.data.expense_id"),
)
def expense_approval(ctx: Context[ExpenseFiled]) -> str:
    """Pay small expenses at once; ask for others, remind after two days, give up after a week."""
    expense = ctx.event.data
    if expense.cents > SMALL_CENTS:
        signal = f"expense-approval/{expense.expense_id}"
        ctx.step.run("ask", ask_manager, expense.expense_id, signal)
        answer = ctx.step.wait_for_signal("answer", signal=signal, timeout="2d")
        if answer is None:
            ctx.step.run("remind", remind_manager, expense.expense_id)
            answer = ctx.step.wait_for_signal("late-answer", signal=signal, timeout="5d")
        if answer is None or not answer.data["approved"]:
            return "not approved"
    return ctx.step.run("pay", pay, expense.expense_id, expense.cents)
