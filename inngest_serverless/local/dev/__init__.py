"""The dev server behind ``inngest-serverless dev``: the local engine, and an app that is started anew when it changes.

For development only: nothing here asks who is there, and nothing outlives the process.

=================  =====================================================================================================
module             what it is
=================  =====================================================================================================
server             puts it all together
local_app          the app of a target: started, started anew, reached
generation         one start of it: what runs until the next change
worker             the program of a Lambda environment; environment is its other end
environments       as many Lambda environments as calls overlap
servers            the Lambda runtime and functions-framework, which are servers with logs of their own
lambda_gateway     HTTP to Lambda and back, within the limits of each trigger
cloud_run          HTTP to a Cloud Function, within the limits of the platform
limits             those limits, and what each platform answers beyond them
front              the address that all of it is reached at
outbound           requests to apps and for functions, which end when the server ends
syncing            has an app register itself
changes            files that have changed
official           Inngest's own dev server instead of the local engine
feed               what is printed
=================  =====================================================================================================
"""
