using Dbt.Runtime.HostTime;
using Dbt.Runtime.Memory;
using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Xen.Memory;
using Dbt.Xen.Scheduling;

namespace Dbt.Xen;

/// <summary>What all domains of one process share: the machine's frames and the machine-to-phys table.</summary>
public sealed unsafe class Hypervisor : IDisposable
{
    private readonly Lock _lock = new();
    private volatile Domain[] _all = [];
    private volatile Domain?[] _byId = new Domain?[FirstIds];
    private ushort _nextId = 1;
    private bool _wrapped;

    // DOMID_FIRST_RESERVED.
    private const ushort EndOfIds = 0x7FF0;

    private const int FirstIds = 64;

    /// <param name="machineBytes">Size of the machine; frames are committed when touched. At most 16 GiB, what the 32-bit machine-to-phys table covers.</param>
    /// <param name="processors">The host's processors that busy domains share by weight; 0 for those that the process may use.</param>
    public Hypervisor(ulong machineBytes = 16UL << 30, int processors = 0)
    {
        Machine = new MachineMemory(machineBytes);
        MachineToPhys = (uint*)HostMemory.ReserveHuge(16 << 20);
        Frames = new FrameTable(this);
        Time.HostTimer? look = null;
        Scheduler = new CreditScheduler(processors > 0 ? processors : Environment.ProcessorCount, () => HostClock.Now, at => look!.Set(at));
        look = Timers.Create(Scheduler.TimerFired);
        Machine.CodeMap.Owner = frame => Find(Frames[frame].Owner)?.CodeMap;
    }

    /// <summary>The machine's frames.</summary>
    public MachineMemory Machine { get; }

    /// <summary>The machine's timers.</summary>
    internal Time.HostTimers Timers { get; } = new();

    /// <summary>Keeps domains' weights and caps.</summary>
    internal CreditScheduler Scheduler { get; }

    /// <summary>The machine-to-phys table, one PFN per MFN, guests read it at <see cref="Abi.Layout.HypervisorStart"/>.</summary>
    public uint* MachineToPhys { get; }

    /// <summary>Owner, references and type of every frame.</summary>
    internal FrameTable Frames { get; }

    /// <summary>Bytes of the machine-to-phys table.</summary>
    public uint MachineToPhysBytes => Machine.FrameCount * 4;

    /// <summary>All domains, as of now.</summary>
    internal IReadOnlyList<Domain> Domains => _all;

    /// <summary>Makes a domain without memory or processors; the builder fills it.</summary>
    /// <param name="name">From the configuration.</param>
    /// <param name="engine">How its code is executed.</param>
    /// <param name="uuid">From the configuration; null for a new one.</param>
    /// <param name="id">The id that it is to have where nobody else has it; null for the next one.</param>
    public Domain CreateDomain(string name, EngineOptions engine, Guid? uuid = null, ushort? id = null)
    {
        lock (_lock)
        {
            var domain = new Domain(this, id is { } wanted and not 0 && wanted < EndOfIds && Find(wanted) is null ? wanted : TakeId(), name, engine) { Uuid = uuid ?? Guid.NewGuid() };
            Domain?[] byId = new Domain?[Math.Max(_byId.Length, (int)System.Numerics.BitOperations.RoundUpToPowerOf2(domain.Id + 1u))];
            _byId.CopyTo(byId, 0);
            byId[domain.Id] = domain;
            _byId = byId;
            _all = [.. _all, domain];
            return domain;
        }
    }

    /// <summary>The domain with an id, or null. Any thread, without a lock.</summary>
    public Domain? Find(ushort id)
    {
        Domain?[] byId = _byId;
        return id < byId.Length ? byId[id] : null;
    }

    /// <summary>A domain has ended and given everything back: its id means nobody.</summary>
    internal void Forget(Domain domain)
    {
        lock (_lock)
        {
            Domain?[] byId = [.. _byId];
            Scheduler.Remove(domain.Share);
            byId[domain.Id] = null;
            _byId = byId;
            _all = [.. _all.Where(other => other != domain)];
        }
    }

    /// <summary>The id that is tried next, for tests: it takes 32,751 domains to come round.</summary>
    internal ushort NextId
    {
        set
        {
            lock (_lock)
            {
                (_nextId, _wrapped) = (value, true);
            }
        }
    }

    // As in Xen: counted up, so that an id doesn't soon mean another domain; from the start again when they run out. A page that an ended domain
    // had granted keeps its id until its mapper lets go: to a new domain of that id it would be its own.
    private ushort TakeId()
    {
        for (int tries = 0; tries < EndOfIds; tries++)
        {
            ushort id = _nextId;
            _nextId = id + 1 == EndOfIds ? (ushort)1 : (ushort)(id + 1);
            _wrapped |= _nextId == 1;
            if (Find(id) is null && !(_wrapped && Frames.HasPageOf(id)))
            {
                return id;
            }
        }

        throw new InvalidOperationException("all domain ids are in use");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Domain domain in _all)
        {
            domain.Dispose();
        }

        Timers.Dispose();
        Frames.Dispose();
        HostMemory.Release((byte*)MachineToPhys, 16 << 20);
        Machine.Dispose();
    }
}
