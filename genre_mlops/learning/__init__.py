"""Networks: how they are built, trained, measured, compared and shipped."""
