using System.Runtime.InteropServices;
using Dbt.Runtime;
using Dbt.Translator;
using Dbt.Xen.Abi;
using Dbt.Xen.Diagnostics;
using Dbt.Xen.Events;
using Dbt.Xen.Grants;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;
using Dbt.Xen.Scheduling;
using Dbt.Xen.Time;

namespace Dbt.Xen;

/// <summary>Why a domain stopped (public/sched.h, SHUTDOWN_*).</summary>
public enum ShutdownReason
{
    /// <summary>Clean power-off.</summary>
    Poweroff = 0,

    /// <summary>Clean reboot.</summary>
    Reboot = 1,

    /// <summary>Clean state for a save.</summary>
    Suspend = 2,

    /// <summary>The guest crashed, by its own word or the hypervisor's.</summary>
    Crash = 3,

    /// <summary>The watchdog expired.</summary>
    Watchdog = 4,

    /// <summary>Soft reset.</summary>
    SoftReset = 5,
}

/// <summary>Takes what a guest writes with console_io; called on the guest's processor thread, the bytes are valid during the call.</summary>
public delegate void EmergencyConsoleWriter(ReadOnlySpan<byte> text);

/// <summary>One guest: its memory, processors, event channels and grants. A guest's breach of the ABI ends here, never beyond.</summary>
public sealed unsafe partial class Domain : IDisposable
{
    private readonly Lock _crashLock = new();
    private readonly TaskCompletionSource<ShutdownReason> _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);

    internal Domain(Hypervisor hypervisor, ushort id, string name, EngineOptions engine)
    {
        Hypervisor = hypervisor;
        Id = GuestId = id;
        Name = ProcessorsName = name;
        EngineOptions = engine;
        DummyVcpuInfo = (byte*)NativeMemory.AllocZeroed(SharedInfoLayout.VcpuInfoSize);
        DummyVcpuInfo[SharedInfoLayout.UpcallMask] = 1;
        CodeMap = new CodeMap(hypervisor.Machine.CodeMap);
        Memory = new DomainMemory(this);
        Events = new EventChannels(this);
        Grants = new GrantTable(this);
        IdleSlack = new IdleSlack(this);
        Share = hypervisor.Scheduler.Add();
    }

    /// <summary>The machine this domain lives on.</summary>
    public Hypervisor Hypervisor { get; }

    /// <summary>Domain id, from 1.</summary>
    public ushort Id { get; }

    /// <summary>
    /// The id by which the guest knows itself: <see cref="Id"/>, but for a guest that came from elsewhere, where it had another.
    /// </summary>
    public ushort GuestId { get; internal set; }

    /// <summary>Whether an id that the guest names is its own: DOMID_SELF, or what it takes for its id.</summary>
    internal bool IsSelf(uint id) => id == Abi.Layout.DomidSelf || id == GuestId;

    /// <summary>Name from the configuration, or what it was renamed to.</summary>
    public string Name { get; set; }

    /// <summary>By which its processors and their threads are named: the name that it was made with.</summary>
    public string ProcessorsName { get; }

    /// <summary>How its code is executed.</summary>
    public EngineOptions EngineOptions { get; }

    /// <summary>UUID, xen_version's and xenstore's.</summary>
    public Guid Uuid { get; set; } = Guid.NewGuid();

    /// <summary>What <c>dbt dmesg</c> shows.</summary>
    public GuestLog Log { get; } = new();

    /// <summary>Which frames hold translated code; tells of writes to this domain's.</summary>
    internal CodeMap CodeMap { get; }

    /// <summary>Frames, page types, page tables.</summary>
    public DomainMemory Memory { get; }

    /// <summary>What makes it an auto-translated domain (PVH); null for a paravirtual one. Set before it gets memory or processors.</summary>
    internal Hvm.HvmDomain? Hvm { get; private set; }

    /// <summary>Whether it is auto-translated (PVH).</summary>
    public bool IsTranslated => Hvm is not null;

    /// <summary>The number by which the guest knows one of its machine frames.</summary>
    public uint GuestFrameOf(uint mfn) => Hvm is { } hvm ? hvm.Physmap.GfnOf(mfn) : mfn;

    /// <summary>Makes it an auto-translated domain.</summary>
    internal Hvm.HvmDomain MakeTranslated()
    {
        Hvm = new Hvm.HvmDomain(this);
        Cpuid.Translated = Id;
        return Hvm;
    }

    /// <summary>Event channels.</summary>
    public EventChannels Events { get; }

    /// <summary>Grant table.</summary>
    public GrantTable Grants { get; }

    /// <summary>Virtual processors; index is the VCPU id. Complete before the first of them starts.</summary>
    public List<Vcpu> Vcpus { get; } = [];

    /// <summary>System time, in nanoseconds, and the time-stamp counter.</summary>
    public DomainClock Clock { get; } = new();

    /// <summary>How much of the host's processors it gets.</summary>
    public CpuShare Share { get; }

    /// <summary>How late its ticks may be while it is idle.</summary>
    internal IdleSlack IdleSlack { get; }

    /// <summary>What <see cref="TickSlack"/> is where nobody says otherwise: 250 ms.</summary>
    public const long DefaultTickSlack = IdleSlack.Default;

    /// <summary>Longest time in nanoseconds by which the periodic tick of an idle guest may be late; 0 has each in time.</summary>
    public long TickSlack
    {
        get => IdleSlack.Longest;
        set => IdleSlack.Longest = value;
    }

    /// <summary>What CPUID tells this domain.</summary>
    public CpuidPolicy Cpuid { get; } = new();

    /// <summary>Where console_io text goes besides the log; null for nowhere.</summary>
    public EmergencyConsoleWriter? EmergencyConsole { get; set; }

    /// <summary>The guest's text of console_io that has no end of line yet.</summary>
    internal ConsoleLine ConsoleLine { get; } = new();

    /// <summary>Behaviours the guest turned on (vm_assist): bit n is VMASST_TYPE n.</summary>
    public uint VmAssist
    {
        get => Volatile.Read(ref _vmAssist);
        set => Volatile.Write(ref _vmAssist, value);
    }

    private uint _vmAssist;

    /// <summary>A vcpu_info for processors that have none in the shared_info page and registered none; never seen by the guest.</summary>
    internal byte* DummyVcpuInfo { get; private set; }

    /// <summary>Held while a processor is initialised, brought up or down, or its vcpu_info is moved.</summary>
    internal Lock VcpuLock { get; } = new();

    /// <summary>Keeps the frame of PHYSDEVOP_pirq_eoi_gmfn, whose reference and type the caller has taken.</summary>
    /// <returns>False where there is one already.</returns>
    internal bool TrySetEoiPage(uint mfn) => Interlocked.CompareExchange(ref _eoiMfn, mfn, 0) == 0;

    /// <summary>That frame; 0 for none.</summary>
    internal uint EoiMfn => Volatile.Read(ref _eoiMfn);

    private uint _eoiMfn;

    /// <summary>SCHEDOP_watchdog's timers.</summary>
    internal Watchdogs Watchdogs => _watchdogs ??= new Watchdogs(this);

    private Watchdogs? _watchdogs;

    /// <summary>
    /// Whether the kernel can go on where it is after it asked to suspend (note SUSPEND_CANCEL): its call then returns 1. A domain of
    /// another kernel stops.
    /// </summary>
    public bool CancelsSuspend { get; internal set; }

    /// <summary>Reason latched by SCHEDOP_shutdown_code, which a later shutdown reports; null for none.</summary>
    internal ShutdownReason? LatchedReason { get; set; }

    /// <summary>
    /// MFN of the shared_info page; 0 until built. Setting it writes the page's start-of-day contents: upcalls masked, the wall clock.
    /// </summary>
    public uint SharedInfoMfn
    {
        get => _sharedInfoMfn;
        set
        {
            _sharedInfoMfn = value;
            StartOfDay.InitialiseSharedInfo(this);
        }
    }

    private uint _sharedInfoMfn;

    /// <summary>Takes a shared_info page that has its contents already.</summary>
    internal void AdoptSharedInfo(uint mfn) => _sharedInfoMfn = mfn;

    /// <summary>Hypercalls made so far, by name, for <c>--stats</c>; approximate while the guest runs.</summary>
    public IReadOnlyDictionary<string, long> HypercallCounts => HypercallLog.Sum(Vcpus.Select(vcpu => vcpu.Hypercalls));

    /// <summary>Host address of the shared_info page.</summary>
    public byte* SharedInfo => Hypervisor.Machine.Frame(SharedInfoMfn);

    /// <summary>
    /// KiB that it is to have (memory=), and that it may be told to have (maxmem=). A PVH domain starts with the latter, of which its balloon
    /// gives back what is too much: as memory is committed when it is touched, that costs no more than Xen's populate-on-demand.
    /// </summary>
    public (ulong Target, ulong Maximum) ConfiguredKib { get; set; }

    /// <summary>MFNs and guest ports of the xenstore and console rings, set by the builder for the devices.</summary>
    public uint StoreMfn { get; set; }

    /// <summary>MFN of the console ring.</summary>
    public uint ConsoleMfn { get; set; }

    /// <summary>Guest's port of the xenstore ring.</summary>
    public uint StorePort { get; set; }

    /// <summary>Guest's port of the console ring.</summary>
    public uint ConsolePort { get; set; }

    /// <summary>Completes once, when the domain stops for whatever reason.</summary>
    public Task<ShutdownReason> Stopped => _stopped.Task;

    /// <summary>Why the hypervisor crashed it; null where it stopped by itself.</summary>
    public CrashReport? CrashReport { get; private set; }

    /// <summary>Names of the kernel's functions, for reports; made when the first report needs them. Null for none.</summary>
    public Lazy<SymbolTable?>? Symbols { get; set; }

    /// <summary>Whether the domain has stopped.</summary>
    public bool IsStopped => _stopped.Task.IsCompleted;

    /// <summary>Holds all processors outside guest code and stops the domain's clock and timers. Not on a processor's thread, nor on the timers'; holds count.</summary>
    public void Pause()
    {
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Pause();
        }

        if (Interlocked.Increment(ref _pauses) == 1)
        {
            Clock.Pause();
            foreach (Vcpu vcpu in Vcpus)
            {
                vcpu.Timers.Suspend();
            }

            // A tick that was on its way writes to the guest's memory: who copies that now must not miss it.
            Hypervisor.Timers.Settle();
        }
    }

    /// <summary>Ends one <see cref="Pause"/>: time goes on where it stood still.</summary>
    public void Resume()
    {
        if (Interlocked.Decrement(ref _pauses) == 0)
        {
            Clock.Resume();
            foreach (Vcpu vcpu in Vcpus)
            {
                vcpu.Timers.Resume();
            }

            SharedTime.UpdateWallclock(this);
        }

        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Resume();
        }
    }

    private int _pauses;

    /// <summary>Stops the domain by its own wish. Later calls change nothing.</summary>
    public void Shutdown(ShutdownReason reason)
    {
        ConsoleLine.Flush(Log);
        _stopped.TrySetResult(LatchedReason ?? reason);
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Kick();
        }
    }

    /// <summary>Crashes this domain alone, with a reason a person can act on. The first reason counts.</summary>
    /// <remarks>
    /// The report looks at page tables, under their lock, and a walk that finds them broken crashes the domain under that lock: who comes second doesn't wait for
    /// who is at it, or two processors could wait for each other.
    /// </remarks>
    public void Crash(Vcpu? vcpu, string reason)
    {
        if (_crashLock.IsHeldByCurrentThread || !_crashLock.TryEnter())
        {
            return; // it stops as soon as the report is written, which may itself have met something
        }

        try
        {
            if (CrashReport is null && !IsStopped)
            {
                CrashReport = CrashReport.Capture(this, vcpu, reason);
                Log.Add($"domain {Id} crashed: {reason}");
            }

            LatchedReason = null;
            Shutdown(ShutdownReason.Crash);
        }
        finally
        {
            _crashLock.Exit();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (DummyVcpuInfo == null)
        {
            return;
        }

        Shutdown(ShutdownReason.Poweroff);
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Stop();
        }

        _watchdogs?.Stop();
        Events.Shut();
        Grants.Shut();
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Dispose();
            vcpu.ReleaseInfo();
        }

        uint eoi = Interlocked.Exchange(ref _eoiMfn, 0);
        if (eoi != 0)
        {
            Memory.PutPageAndType(eoi);
        }

        Memory.Dispose();
        Hvm?.Dispose();
        Hypervisor.Forget(this);
        NativeMemory.Free(DummyVcpuInfo);
        DummyVcpuInfo = null;
    }
}
