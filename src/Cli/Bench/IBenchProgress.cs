namespace Dbt.Cli.Bench;

/// <summary>Hears how far the benchmark is.</summary>
internal interface IBenchProgress
{
    /// <summary>The machines are booting.</summary>
    void Booting(int machines);

    /// <summary>A run begins.</summary>
    void Running(int round, string workload, string machine);

    /// <summary>A run has ended.</summary>
    void Done(int round, string workload, string machine, Sample sample);

    /// <summary>Something that the user should know.</summary>
    void Warn(string what);
}
