"""What the fuzzer cannot read from the document: an empty value, or an empty entry of a list, counts as not given.

It would take the answer for that of a wrong request that was not refused.
"""

import schemathesis


@schemathesis.hook
def filter_query(context, query):
    values = [entry for value in (query or {}).values() for entry in (value if isinstance(value, list) else str(value).split(","))]
    return "" not in values
