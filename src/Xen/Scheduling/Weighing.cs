namespace Dbt.Xen.Scheduling;

/// <summary>
/// Which processors run where more want to than the host has: those that are furthest behind their shares. As in Xen a weight is each processor's of a
/// domain.
/// </summary>
internal static class Weighing
{
    /// <summary>What one that rests has to be behind more than one that runs, so that they don't take turns all the time: Xen's rate limit.</summary>
    public const long Advantage = 1_000_000;

    /// <summary>Gives everybody its share of what all have used, and takes what it used itself. Credits add up to what they were.</summary>
    /// <param name="active">Those that have used something.</param>
    /// <param name="wanting">Those of them that want more: they share.</param>
    /// <param name="processors">The host's processors, of which nobody can have more than one.</param>
    public static void Distribute(List<ScheduledProcessor> active, List<ScheduledProcessor> wanting, int processors)
    {
        long rest = 0, weights = 0;
        foreach (ScheduledProcessor one in active)
        {
            rest += one.Used;
            one.Credit -= one.Used;
        }

        foreach (ScheduledProcessor one in wanting)
        {
            weights += one.Share.Weight;
        }

        // The heaviest first: what is more than one of the host's processors is the others'.
        long most = rest / processors;
        wanting.Sort(static (one, other) => other.Share.Weight.CompareTo(one.Share.Weight));
        foreach (ScheduledProcessor one in wanting)
        {
            long share = Math.Min(most, (long)((Int128)rest * one.Share.Weight / weights));
            one.Credit += share;
            rest -= share;
            weights -= one.Share.Weight;
        }
    }

    /// <summary>Has those run that are furthest behind, and the others rest.</summary>
    public static void Choose(List<ScheduledProcessor> wanting, int processors)
    {
        wanting.Sort(static (one, other) => Rank(other).CompareTo(Rank(one)));
        for (int i = 0; i < wanting.Count; i++)
        {
            wanting[i].Rest(i >= processors);
        }
    }

    private static long Rank(ScheduledProcessor one) => one.Credit + (one.Rests ? 0 : Advantage);
}
