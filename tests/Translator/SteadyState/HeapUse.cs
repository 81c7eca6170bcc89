namespace Dbt.Tests.Translator.SteadyState;

/// <summary>What a thread takes from the garbage collector's heap.</summary>
internal static class HeapUse
{
    private const int Attempts = 8;

    /// <summary>
    /// The least of several times: what something allocates whenever it is done. A collection that comes between takes away what is left of the
    /// thread's own piece of the heap, up to 8 KiB, and counts it as allocated; other tests' threads cause them.
    /// </summary>
    /// <param name="measure">Does something, and tells how many bytes it took.</param>
    public static long Of(Func<long> measure)
    {
        long least = long.MaxValue;
        for (int attempt = 0; attempt < Attempts && least != 0; attempt++)
        {
            least = Math.Min(least, measure());
        }

        return least;
    }
}
