"""MentalChat16K to a QLoRA adapter to vLLM. The road is built in its own issue; nothing is here yet."""
