"""What is looked at while a run goes: where its time goes, a trace, slow steps, steps that do not end."""
