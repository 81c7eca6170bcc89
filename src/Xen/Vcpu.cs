using Dbt.Translator;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Processor;
using Dbt.Xen.Time;

namespace Dbt.Xen;

/// <summary>
/// One virtual processor: its state, its host thread, and what the processor core asks of its surroundings.
/// Each part is a class of its own: trap table, descriptor tables, timers and so on. An auto-translated domain's processor is plugged
/// into <see cref="Hvm"/> instead, and uses no more of this than the thread, the timers and the accounting.
/// </summary>
public sealed unsafe partial class Vcpu : Platform, IDisposable
{
    private nint _registeredInfo;

    /// <summary>Makes a processor that is down and has no state of its own yet.</summary>
    /// <param name="domain">The domain it belongs to; the caller adds it to <see cref="Domain.Vcpus"/>.</param>
    /// <param name="id">VCPU id, its index in that list.</param>
    public Vcpu(Domain domain, int id)
    {
        Domain = domain;
        Id = id;
        if (domain.Hvm is { } hvm)
        {
            Hvm = new HvmProcessor(this, hvm);
            State = Hvm.Cpu;
        }
        else
        {
            State = CpuState.Allocate();
            State->MemoryBase = domain.Hypervisor.Machine.Base;
            StartOfDay.ResetProcessor(State);
        }

        Descriptors = new DescriptorTables(this);
        Timers = new VcpuTimers(this);
        RunState = new RunState(this);
        Decoder = new GuestInstructionReader(this);
        _recheck = domain.Hypervisor.Timers.Create(Interrupt);
        domain.Share.Add(this);
    }

    /// <summary>The domain it belongs to.</summary>
    public Domain Domain { get; }

    /// <summary>VCPU id, from 0.</summary>
    public int Id { get; }

    /// <summary>Architectural state.</summary>
    public CpuState* State { get; private set; }

    /// <summary>Whether VCPUOP_initialise or the domain builder gave it a state.</summary>
    public bool IsInitialised { get; internal set; }

    /// <summary>The processor's surroundings in an auto-translated domain; null in a paravirtual one.</summary>
    internal HvmProcessor? Hvm { get; }

    /// <summary>First linear address that isn't the guest's.</summary>
    internal ulong LinearEnd => Hvm is null ? Layout.HypervisorStart : 1UL << 32;

    internal TrapTable Traps { get; } = new();

    internal DescriptorTables Descriptors { get; }

    internal VcpuTimers Timers { get; }

    internal RunState RunState { get; }

    internal GuestInstructionReader Decoder { get; }

    internal HypercallLog Hypercalls { get; } = new();

    /// <summary>Upcalls that it took, NMIs left out.</summary>
    internal long Upcalls { get; set; }

    internal GuestCallbacks Callbacks { get; } = new();

    /// <summary>Stack that an entry from ring 2 or 3 switches to (stack_switch).</summary>
    internal ushort KernelSs { get; set; } = Layout.FlatRing1Ds;

    /// <summary>See <see cref="KernelSs"/>.</summary>
    internal uint KernelSp { get; set; }

    /// <summary>Virtual I/O privilege level as EFLAGS holds it, in bits 12 and 13.</summary>
    internal uint Iopl { get; set; }

    /// <summary>I/O permission bitmap: guest linear address.</summary>
    internal uint IoBitmap { get; set; }

    /// <summary>I/O permission bitmap: ports that it covers.</summary>
    internal uint IoBitmapPorts { get; set; }

    /// <summary>Enable bits of DR7 for I/O breakpoints, which are matched by the privileged-instruction emulation.</summary>
    internal uint IoBreakpoints { get; set; }

    /// <summary>Registered copy of the time record: guest linear address, 0 for none.</summary>
    internal uint SecondaryTimeArea { get; set; }

    /// <summary>System time at which the time record was last renewed.</summary>
    internal long TimeUpdatedAt { get; set; }

    /// <summary>Yields without a pause between them, and the system time of the last.</summary>
    internal int YieldsInARow { get; set; }

    /// <summary>See <see cref="YieldsInARow"/>.</summary>
    internal long LastYield { get; set; }

    /// <summary>
    /// Host address of this processor's vcpu_info: in the shared_info page, or where the guest registered it. Processors from 32 on
    /// have none in the page; until they register one they use a page that no guest sees.
    /// </summary>
    internal byte* Info
    {
        get
        {
            nint registered = Volatile.Read(ref _registeredInfo);
            return registered != 0 ? (byte*)registered
                : Id < SharedInfoLayout.LegacyVcpus ? Domain.SharedInfo + (Id * SharedInfoLayout.VcpuInfoSize)
                : Domain.DummyVcpuInfo;
        }
    }

    /// <summary>Whether the guest put its vcpu_info elsewhere, which it may do once.</summary>
    internal bool HasRegisteredInfo => _registeredInfo != 0;

    /// <summary>The frame that the vcpu_info is in since the guest put it there; null where it didn't.</summary>
    internal uint? RegisteredInfoMfn => Volatile.Read(ref _registeredInfo) is var place and not 0 ? Domain.Hypervisor.Machine.FrameOf((byte*)place) : null;

    /// <summary>Moves the vcpu_info. What was pending in the old place is taken along by marking everything pending, as Xen does.</summary>
    internal void RegisterInfo(byte* place)
    {
        byte* old = Info;
        if (old == Domain.DummyVcpuInfo)
        {
            new Span<byte>(place, SharedInfoLayout.VcpuInfoSize).Clear();
            place[SharedInfoLayout.UpcallMask] = 1;
        }
        else
        {
            Buffer.MemoryCopy(old, place, SharedInfoLayout.VcpuInfoSize, SharedInfoLayout.VcpuInfoSize);
        }

        Volatile.Write(ref _registeredInfo, (nint)place);
        Volatile.Write(ref *(uint*)(place + SharedInfoLayout.PendingSelector), uint.MaxValue);
        Volatile.Write(ref place[SharedInfoLayout.UpcallPending], 1);
        Hvm?.UpcallRaised();
        Kick();
    }

    /// <summary>Gives back the page of a vcpu_info that the guest put elsewhere, whose reference and type were taken then. Events have ended.</summary>
    internal void ReleaseInfo()
    {
        nint registered = Interlocked.Exchange(ref _registeredInfo, 0);
        if (registered != 0)
        {
            Domain.Memory.PutPageAndType(Domain.Hypervisor.Machine.FrameOf((byte*)registered));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Timers.Suspend();
        _recheck.Cancel();
        Stop();
        lock (_kickLock)
        {
            if (Hvm is null)
            {
                CpuState.Free(State);
            }
            else
            {
                Hvm.Dispose();
            }

            State = null;
            _wake.Dispose();
        }
    }
}
