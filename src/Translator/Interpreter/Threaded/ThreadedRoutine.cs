global using unsafe ThreadedRoutine = delegate*<
    Dbt.Translator.Interpretation.Interpreter,
    Dbt.Translator.State.CpuState*,
    Dbt.Translator.Interpretation.Threaded.Op*,
    int>;
