"""Tell healthy machines from broken ones by their sound."""
