-- An answer is forgotten when its successor is used: found by that, whatever a family has gone through in 91 days.
CREATE INDEX sealed_answers_by_successor ON refresh_tokens (successor_hash) WHERE sealed_answer IS NOT NULL;
