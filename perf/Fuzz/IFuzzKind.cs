namespace Dbt.Perf.Fuzz;

/// <summary>A kind of attack. It draws what it does from a case, and does it to domains of its own in an arena.</summary>
internal interface IFuzzKind : IDisposable
{
    /// <summary>Longest case in bytes that is of use.</summary>
    int LongestCase { get; }

    /// <summary>Carries out one case, from making the attacker to its end.</summary>
    /// <exception cref="FuzzFinding">Something happened that may not.</exception>
    void Run(FuzzInput input, FuzzArena arena);
}
