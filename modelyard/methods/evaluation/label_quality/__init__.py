"""Which labels are likely wrong, how many, which rows to label next, and which answers may stand as labels."""
