using Dbt.Runtime.HostTime;
using Dbt.Xen.Abi;
using Dbt.Xen.Time;

namespace Dbt.Xen.Events;

/// <summary>A domain's two watchdog timers (SCHEDOP_watchdog): one that runs out stops the domain.</summary>
internal sealed partial class Watchdogs
{
    private const int Count = 2;

    private readonly Lock _lock = new();
    private readonly HostTimer[] _timers = new HostTimer[Count];
    private readonly bool[] _inUse = new bool[Count];

    public Watchdogs(Domain domain)
    {
        for (int i = 0; i < Count; i++)
        {
            int index = i;
            _timers[i] = domain.Hypervisor.Timers.Create(() => Fired(domain, index));
        }
    }

    /// <summary>Sets one up (id 0), feeds it, or ends it (seconds 0).</summary>
    /// <returns>The new one's id, 0, or a negative error.</returns>
    public int Set(uint id, uint seconds)
    {
        if (id > Count)
        {
            return -Errno.EINVAL;
        }

        long deadline = HostClock.Now + (seconds * 1_000_000_000L);
        lock (_lock)
        {
            if (id == 0)
            {
                int free = Array.IndexOf(_inUse, false);
                if (free < 0)
                {
                    return -Errno.ENOSPC;
                }

                _inUse[free] = true;
                _timers[free].Set(deadline);
                return free + 1;
            }

            uint index = id - 1;
            if (!_inUse[index])
            {
                return -Errno.EINVAL;
            }

            _inUse[index] = seconds != 0;
            if (seconds != 0)
            {
                _timers[index].Set(deadline);
            }
            else
            {
                _timers[index].Cancel();
            }

            return 0;
        }
    }

    /// <summary>Ends all of them.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            for (int i = 0; i < Count; i++)
            {
                _inUse[i] = false;
                _timers[i].Cancel();
            }
        }
    }

    private void Fired(Domain domain, int index)
    {
        lock (_lock)
        {
            if (!_inUse[index])
            {
                return;
            }
        }

        domain.Log.Add("the guest's watchdog ran out");
        domain.Shutdown(ShutdownReason.Watchdog);
    }
}
