"""Replies that are not an app's: who sent them instead, and why.

Gateways, firewalls and runtimes answer by themselves when a request does not get to the app or the app gives no reply.
Each has words of its own. Sources: the AWS documentation on function URLs, on the gateway responses of API Gateway and
on the error codes of load balancers; the troubleshooting pages of Cloud Run; those of Cloudflare and CloudFront.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from inngest_serverless.cli.checks.findings import Finding, problem

if TYPE_CHECKING:
    from inngest_serverless.cli.checks.visits import Visit
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["stranger"]

_SHOWN = 120
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 200, 401, 403, 404
_METHOD_NOT_ALLOWED, _TOO_LARGE, _TOO_MANY = 405, 413, 429
_SERVER_ERRORS = range(500, 600)
_KEEPING_METHOD = (307, 308)


@dataclass(frozen=True, slots=True)
class _Rule:
    """How to know a reply, and what to say of it.

    Attributes:
        check: The name of the finding.
        statuses: Its status is one of these; any, if there are none.
        text: The body has this, in whatever case.
        header: It has this header, as ``name`` or ``name: part of its value``.
        why: What has happened.
        do: What to do.
    """

    check: str
    statuses: tuple[int, ...]
    text: str
    header: str
    why: str
    do: str

    def fits(self, reply: HttpReply) -> bool:
        """Whether it is such a reply."""
        name, _, part = self.header.partition(": ")
        return (
            (not self.statuses or reply.status in self.statuses)
            and self.text.lower().encode() in reply.body.lower()
            and (not name or (name in reply.headers and part in reply.headers[name].lower()))
        )


_LOG = "read the function's log: it says how the call ended"
_TIME = "give the function more time, and split what takes long into steps: each is a call of its own"
_ROUTES = "let GET, PUT and POST through to the function, at this path"
_UNBLOCK = "let requests to this path through as they are: no bot check, no limit on the body, for GET, PUT and POST"

# From the particular to the general: the first that fits is told.
_RULES = [
    _Rule(
        "access",
        (_FORBIDDEN,),
        "forbidden",
        "x-amzn-errortype: accessdenied",
        "the Lambda function URL lets only callers in that sign with AWS credentials, which Inngest does not",
        "set its auth type to NONE, and allow everybody lambda:InvokeFunctionUrl in the function's policy; "
        "Inngest's signature is what protects it",
    ),
    _Rule(
        "route",
        (_FORBIDDEN,),
        "missing authentication token",
        "",
        "this is how an API Gateway REST API says that it has no such path and method",
        _ROUTES + "; mind the stage at the beginning of the path, and deploy the API again",
    ),
    _Rule(
        "access",
        (_FORBIDDEN,),
        "not authorized to",
        "",
        "an authorizer or a resource policy of API Gateway does not let this caller in",
        "take it off this path; Inngest's signature is what protects it",
    ),
    _Rule(
        "access",
        (_FORBIDDEN,),
        "does not have permission to get url",
        "",
        "the Cloud Run service lets only callers in that have a Google identity, which Inngest has not",
        "deploy it with --allow-unauthenticated; Inngest's signature is what protects it",
    ),
    _Rule(
        "access",
        (_UNAUTHORIZED, _FORBIDDEN),
        "",
        "server: google frontend",
        "Google lets only callers in that have an identity, or that come from an allowed network",
        "deploy the service with --allow-unauthenticated and --ingress all",
    ),
    _Rule(
        "firewall",
        (_FORBIDDEN, 429, 503),
        "",
        "cf-mitigated",
        "Cloudflare takes the caller for a robot and puts a question to it",
        _UNBLOCK,
    ),
    _Rule(
        "firewall",
        (_FORBIDDEN,),
        "",
        "server: cloudflare",
        "a firewall rule of Cloudflare blocks the request",
        _UNBLOCK,
    ),
    _Rule(
        "firewall",
        (_FORBIDDEN,),
        "",
        "server: cloudfront",
        "CloudFront blocks the request: by a firewall (WAF), or because the distribution does not allow the method",
        _UNBLOCK + "; allow all HTTP methods and forward all headers but Host",
    ),
    _Rule(
        "firewall",
        (_FORBIDDEN,),
        "",
        "server: awselb",
        "the load balancer blocks the request: by a firewall (WAF) or a rule of its listener",
        _UNBLOCK,
    ),
    _Rule(
        "firewall",
        (_FORBIDDEN,),
        "",
        "content-type: text/html",
        "apps answer in JSON: this page is that of a firewall (WAF) or a proxy which blocks the request",
        _UNBLOCK,
    ),
    _Rule(
        "access",
        (_FORBIDDEN,),
        "forbidden",
        "",
        "API Gateway wants an API key, or a firewall (WAF) or a resource policy of it blocks the request",
        "require no key at this path, and let requests through to it",
    ),
    _Rule(
        "access",
        (_UNAUTHORIZED, _FORBIDDEN),
        "",
        "",
        "something before the app wants callers to log in, which Inngest cannot",
        "take the login off this path; Inngest's signature is what protects it",
    ),
    _Rule(
        "route",
        (_NOT_FOUND,),
        "",
        "server: google frontend",
        "Google knows no service at this host, or the service is for callers of its own network only",
        "check the URL (gcloud run services describe prints it), and deploy with --ingress all",
    ),
    _Rule("route", (_NOT_FOUND,), "", "", "nothing is there: the gateway has no route for this path", _ROUTES),
    _Rule("route", (_METHOD_NOT_ALLOWED,), "", "", "this path takes other methods only", _ROUTES),
    _Rule(
        "body-size",
        (_TOO_LARGE,),
        "",
        "",
        "the body is larger than a gateway allows",
        "raise the limit; a load balancer passes at most 1 MB on to Lambda, a function URL or API Gateway more",
    ),
    _Rule(
        "throttled",
        (_TOO_MANY,),
        "",
        "",
        "the function has no more instances to take calls: Inngest tries again, but runs are slow",
        "raise the function's (reserved) concurrency, or limit that of the durable functions",
    ),
    _Rule(
        "timeout",
        (504,),
        "endpoint request timed out",
        "",
        "API Gateway waits for 29 seconds, or for as long as the integration says",
        "raise the integration's timeout, or use a function URL, which waits for 15 minutes; and split into steps what "
        "takes long",
    ),
    _Rule(
        "timeout", (504,), "upstream request timeout", "", "the Cloud Run service's time for a request was up", _TIME
    ),
    _Rule(
        "timeout",
        (503,),
        '"service unavailable"',
        "apigw-requestid",
        "an HTTP API of API Gateway waits for 30 seconds at most",
        "use a function URL, which waits for 15 minutes; and split into steps what takes long",
    ),
    _Rule("timeout", (504,), "", "", "a gateway waited for the app, and gave up", _TIME),
    _Rule(
        "function",
        (500, 502, 503),
        "internal server error",
        "",
        "the function was called and gave no reply: it could not be imported, raised, crashed, or ran out of time "
        "(Lambda allows 3 seconds unless told otherwise)",
        _LOG + "; raise its timeout if that is what it was",
    ),
    _Rule(
        "function",
        tuple(_SERVER_ERRORS),
        "",
        "",
        "the app gave no reply that its gateway could pass on: it does not start, raises, crashed, or ran out of time",
        _LOG,
    ),
    _Rule(
        "sdk",
        (_OK,),
        "",
        "content-type: text/html",
        "another program answers, with a web page, or a login page stands before the app",
        "check the host and the path: it is the one that the handler serves, /api/inngest, say",
    ),
]


def stranger(visit: Visit, url: str, method: str) -> Finding:
    """What a reply means that is not an app's.

    Args:
        visit: The request and the reply, which has no X-Inngest-SDK header.
        url: The URL that was asked.
        method: The method it was asked with.
    """
    reply = visit.reply
    if visit.redirect is not None:
        return problem(
            "redirect",
            f"{method} {url} redirects to {visit.redirect} (HTTP status {reply.status})",
            "Inngest follows it with each call, which takes as long again"
            if reply.status in _KEEPING_METHOD
            else "Inngest follows it, but a POST becomes a GET on the way, which runs nothing",
            "register the URL that it leads to, if that is the app's: mind http or https, www, and a slash at the end",
        )
    told = f"{method} {url} is not answered by an app: HTTP status {reply.status}{_said(reply)}, {_took(visit)}"
    for rule in _RULES:
        if rule.fits(reply):
            return problem(rule.check, told, rule.why, rule.do)
    return problem(
        "sdk",
        told,
        "the reply has no X-Inngest-SDK header: another program answers, or a proxy takes headers away",
        "check the host and the path, and let the X-Inngest headers of replies through",
    )


def _said(reply: HttpReply) -> str:
    text = " ".join(reply.body.decode(errors="replace").split())
    if not text:
        return ""
    return f" and {text[:_SHOWN]!r}{'...' if len(text) > _SHOWN else ''}"


def _took(visit: Visit) -> str:
    return f"after {visit.seconds:.1f} s"
