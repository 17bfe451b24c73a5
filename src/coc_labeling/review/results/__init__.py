"""What came of a review: what people left of labels, how they agree, how right the labels are that nobody saw."""
