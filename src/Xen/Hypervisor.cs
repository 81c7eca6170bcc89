using Dbt.Runtime.Memory;
using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Xen.Memory;

namespace Dbt.Xen;

/// <summary>What all domains of one process share: the machine's frames and the machine-to-phys table.</summary>
public sealed unsafe class Hypervisor : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ushort, Domain> _domains = [];
    private volatile Domain[] _all = [];
    private ushort _nextId = 1;

    /// <param name="machineBytes">Size of the machine; frames are committed when touched. At most 16 GiB, what the 32-bit machine-to-phys table covers.</param>
    public Hypervisor(ulong machineBytes = 16UL << 30)
    {
        Machine = new MachineMemory(machineBytes);
        MachineToPhys = (uint*)HostMemory.Reserve(16 << 20);
        Frames = new FrameTable(this);
    }

    /// <summary>The machine's frames.</summary>
    public MachineMemory Machine { get; }

    /// <summary>The machine's timers.</summary>
    internal Time.HostTimers Timers { get; } = new();

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
    public Domain CreateDomain(string name, EngineOptions engine, Guid? uuid = null)
    {
        lock (_lock)
        {
            var domain = new Domain(this, _nextId++, name, engine) { Uuid = uuid ?? Guid.NewGuid() };
            _domains.Add(domain.Id, domain);
            _all = [.. _domains.Values];
            return domain;
        }
    }

    /// <summary>The domain with an id, or null.</summary>
    public Domain? Find(ushort id)
    {
        lock (_lock)
        {
            return _domains.GetValueOrDefault(id);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Domain domain in _domains.Values)
        {
            domain.Dispose();
        }

        Timers.Dispose();
        Frames.Dispose();
        HostMemory.Release((byte*)MachineToPhys, 16 << 20);
        Machine.Dispose();
    }
}
