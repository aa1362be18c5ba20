"""What the fuzzer cannot read from the document: an empty value, or an empty entry of a list, counts as not given.

OpenAPI says it with allowEmptyValue; the fuzzer would take the answer for a wrong request that was not refused.
"""

import schemathesis


@schemathesis.hook
def filter_query(context, query):
    values = [entry for value in (query or {}).values() for entry in (value if isinstance(value, list) else str(value).split(","))]
    return "" not in values
