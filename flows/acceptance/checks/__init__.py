"""The checks, one module per kind; `flows.acceptance.table` lists them."""
