"""What the description of the API says in words, because no schema can."""

import schemathesis


@schemathesis.hook
def map_case(context, case):
    """Only what is selected can be filtered and ordered by."""
    query, meta = case.query, case.meta
    fields = query.get("field") if query else None
    if not fields or meta is None or not meta.generation.mode.is_positive:
        return case
    fields = [fields] if isinstance(fields, str) else fields
    others = {"field", "limit", "offset", "property"}

    def is_kept(name):
        return name in others or name in fields or name.rpartition("__")[0] in fields

    kept = {name: value for name, value in query.items() if is_kept(name)}
    orders = [order for order in query.get("order") or [] if order.lstrip("-") in fields]
    case.query = kept | ({"order": orders} if orders else {})
    return case
