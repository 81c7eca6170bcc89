using Dbt.Xen.Time;

namespace Dbt.Xen.Events;

/// <summary>A SCHEDOP_poll that waits.</summary>
/// <param name="Ports">Ports, fetched once and checked.</param>
/// <param name="Deadline">System time at which it ends; 0 for never.</param>
internal sealed record PollRequest(uint[] Ports, long Deadline)
{
    /// <summary>Nanoseconds left, -1 for no limit.</summary>
    public long Remaining(DomainClock clock) => Deadline == 0 ? -1 : Math.Max(1, Deadline - clock.Now);

    /// <summary>Whether a port is pending (or was closed meanwhile), or the time is over.</summary>
    public bool IsDone(Domain domain)
    {
        foreach (uint port in Ports)
        {
            if (domain.Events.Poll(port) != 0)
            {
                return true;
            }
        }

        return Deadline != 0 && domain.Clock.Now >= Deadline;
    }
}
