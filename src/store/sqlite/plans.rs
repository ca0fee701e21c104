//! The planner's choices for hot queries.
