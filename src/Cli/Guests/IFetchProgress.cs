namespace Dbt.Cli.Guests;

/// <summary>Told how a fetch goes.</summary>
internal interface IFetchProgress
{
    /// <summary>A step begins; the one before it is done.</summary>
    /// <param name="what">As it is shown.</param>
    void Step(string what);

    /// <summary>How much of the step is done, 0 to 1.</summary>
    void Part(double part);

    /// <summary>Something to know that doesn't end it.</summary>
    void Warn(string what);
}
