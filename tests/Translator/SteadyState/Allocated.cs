namespace Dbt.Tests.Translator.SteadyState;

/// <summary>What a thread allocates.</summary>
internal static class Allocated
{
    private const int MostTries = 20;

    /// <summary>
    /// The least of several runs, by the measure given: what is allocated whenever it is done. The garbage collector takes away what is left of a
    /// thread's piece of the heap, up to 8 KiB, which then counts as allocated, and tests of other threads make it collect at any time. Its count of
    /// collections doesn't tell such runs: a collection that goes on beside other threads stops them more than once.
    /// </summary>
    public static long Undisturbed(Func<long> measure)
    {
        long least = long.MaxValue;
        for (int i = 0; i < MostTries && least != 0; i++)
        {
            least = Math.Min(least, measure());
        }

        return least;
    }
}
