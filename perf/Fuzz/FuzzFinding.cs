namespace Dbt.Perf.Fuzz;

/// <summary>What no attack may bring about, and one did.</summary>
internal sealed class FuzzFinding(string message) : Exception(message)
{
    /// <summary>Throws unless a condition holds.</summary>
    public static void Unless(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new FuzzFinding(otherwise);
        }
    }
}
