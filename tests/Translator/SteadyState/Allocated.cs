namespace Dbt.Tests.Translator.SteadyState;

/// <summary>What a thread allocates, exactly.</summary>
internal static class Allocated
{
    private const int MostTries = 100;

    /// <summary>
    /// Bytes by the measure given, of a run in which the garbage collector did not: it takes away what is left of a thread's piece of the
    /// heap, which then counts as allocated, and tests of other threads make it collect at any time.
    /// </summary>
    public static long Undisturbed(Func<long> measure)
    {
        long bytes = 0;
        for (int i = 0; i < MostTries; i++)
        {
            int collections = GC.CollectionCount(0);
            bytes = measure();
            if (bytes == 0 || GC.CollectionCount(0) == collections)
            {
                break;
            }
        }

        return bytes;
    }
}
