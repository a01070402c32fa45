"""The recorded app as Google Cloud Functions: each handler of recorded_app and recorded_app_async, in both forms.

functions-framework loads this file, by the names that ``adapters`` makes of theirs.
"""

from __future__ import annotations

import recorded_app_async
from recorded_app import APP_ID, FUNCTIONS, SMALL_BODY

from inngest_serverless import inngest_gcf, inngest_gcf_async

recorded_app_handler = inngest_gcf(FUNCTIONS, app_id=APP_ID)
recorded_app_handler_of_small_bodies = inngest_gcf(FUNCTIONS, app_id=APP_ID, max_body_size=SMALL_BODY)
recorded_app_async_handler = inngest_gcf(recorded_app_async.FUNCTIONS, app_id=APP_ID)

asgi_recorded_app_handler = inngest_gcf_async(FUNCTIONS, app_id=APP_ID)
asgi_recorded_app_handler_of_small_bodies = inngest_gcf_async(FUNCTIONS, app_id=APP_ID, max_body_size=SMALL_BODY)
asgi_recorded_app_async_handler = inngest_gcf_async(recorded_app_async.FUNCTIONS, app_id=APP_ID)
