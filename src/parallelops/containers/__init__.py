"""Operations on containers: in order for each, durable, and recovered."""
