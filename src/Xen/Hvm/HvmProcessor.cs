using Dbt.Runtime.HostTime;
using Dbt.Translator;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Time;

namespace Dbt.Xen.Hvm;

/// <summary>
/// The processor of an auto-translated domain: the i386 with its own system architecture, plugged into guest-physical memory, a local
/// APIC, and the hypervisor by VMCALL. What all virtual processors have in common (thread, timers, accounting) is <see cref="Vcpu"/>'s.
/// </summary>
internal sealed unsafe partial class HvmProcessor : NativePlatform, IApicBus
{
    private const int NoStart = -1;

    private readonly Vcpu _vcpu;
    private readonly Domain _domain;
    private readonly Physmap _physmap;
    private readonly HvmParameters _parameters;
    private readonly byte* _memory;
    private readonly HostTimer _timer;
    private int _flush;
    private bool _halted;
    private ulong _tscOffset;
    private int _init;
    private int _start = NoStart;
    private bool _waitsForStart;

    /// <summary>Makes a processor in the state of <see cref="NativePlatform.Reset"/>.</summary>
    public HvmProcessor(Vcpu vcpu, HvmDomain hvm)
        : base(vcpu.Domain.Hypervisor.Machine.Base)
    {
        _vcpu = vcpu;
        _domain = vcpu.Domain;
        _physmap = hvm.Physmap;
        _parameters = hvm.Parameters;
        _memory = _domain.Hypervisor.Machine.Base;
        _timer = _domain.Hypervisor.Timers.Create(TimerElapsed);
        Apic = new LocalApic((uint)vcpu.Id * 2, this);
    }

    /// <inheritdoc/>
    public override CodeMap CodeMap => _domain.CodeMap;

    /// <summary>Its interrupt controller.</summary>
    public LocalApic Apic { get; }

    /// <summary>The host's timer behind the APIC's.</summary>
    public HostTimer Timer => _timer;

    /// <summary>Vector by which the APIC delivers upcalls (HVMOP_set_evtchn_upcall_vector); 0 for none.</summary>
    public byte UpcallVector { get; set; }

    /// <summary>Whether it executed HLT and nothing has woken it.</summary>
    public bool IsHalted => _halted;

    /// <summary>Whether a processor that waits has something to go on with.</summary>
    public bool IsWakeDue => _vcpu.IsNmiDue || ((LazyFlags.Read(Cpu) & Flags.If) != 0 && HasInterrupt);

    /// <inheritdoc/>
    public long Now => _domain.Clock.Now;

    /// <inheritdoc/>
    protected override bool HasInterrupt => IsUpcallDue || Apic.Pending() >= 0;

    // As in Xen: level-triggered, and evtchn_upcall_mask is of no account.
    private bool IsUpcallDue => _parameters.CallbackVector != 0 && Volatile.Read(ref _vcpu.Info[SharedInfoLayout.UpcallPending]) != 0;

    /// <inheritdoc/>
    public override void Cpuid(CpuState* cpu, uint leaf, uint subleaf, out uint eax, out uint ebx, out uint ecx, out uint edx) =>
        (eax, ebx, ecx, edx) = _domain.Cpuid.Read(leaf, subleaf, _vcpu.Id);

    /// <inheritdoc/>
    public override ulong ReadTsc(CpuState* cpu) => (ulong)_domain.Clock.Now + _tscOffset;

    /// <inheritdoc/>
    public override void ProtectCode(uint frame) => _domain.Memory.ProtectCode(frame);

    /// <inheritdoc/>
    public override void ReportUnimplemented(CpuState* cpu, string name) => _vcpu.ReportUnimplemented(cpu, name);

    /// <summary>
    /// Resolves a linear address for the hypervisor's own access, with supervisor rights. As in Xen a device's register is no place for a
    /// hypercall's structure.
    /// </summary>
    public bool TryResolveMemory(uint linear, MemoryAccess access, out byte* host)
    {
        // Looked at before it is opened for writing, which a device would take for a write.
        return TryResolve(Cpu, linear, MemoryAccess.Read, false, out host, out _) && IsMemory(host)
            && (access == MemoryAccess.Read || (TryResolve(Cpu, linear, access, false, out host, out _) && IsMemory(host)));
    }

    /// <summary>Where a byte of the guest-physical memory lies; false where there is none. Marks nothing.</summary>
    public bool TryPhysical(ulong physical, out byte* host)
    {
        byte* page = PhysicalPage(physical >> 12, write: false);
        host = page + (physical & 0xFFF);
        return page != null;
    }

    /// <summary>The upcall-pending flag was set: the APIC is told where upcalls go through it. Any thread; the caller kicks the processor.</summary>
    public void UpcallRaised()
    {
        if (UpcallVector != 0)
        {
            Apic.Accept(UpcallVector);
        }
    }

    /// <summary>The p2m has changed: the software TLB is to be flushed before the next guest instruction. Any thread; the caller kicks.</summary>
    public void RequestFlush() => Interlocked.Exchange(ref _flush, 1);

    /// <summary>Does what <see cref="RequestFlush"/> asked for. On the processor's own thread.</summary>
    public void ApplyFlush()
    {
        if (_flush != 0 && Interlocked.Exchange(ref _flush, 0) != 0)
        {
            FlushAll();
        }
    }

    /// <summary>
    /// INIT and start-up IPIs, which each processor carries out for itself: after INIT it is down until the start-up IPI comes.
    /// </summary>
    /// <returns>Whether it is to be down now.</returns>
    public bool TakeStart()
    {
        if (Volatile.Read(ref _init) != 0)
        {
            // In this order: a start-up IPI finds at least one of the two.
            Volatile.Write(ref _waitsForStart, true);
            Interlocked.Exchange(ref _init, 0);
            Reset();
            Apic.Reset();
            _halted = false;
        }

        if (!_waitsForStart)
        {
            return false;
        }

        // Down first: a start-up IPI that comes after the look brings it up again.
        _vcpu.MarkDown();
        int vector = Interlocked.Exchange(ref _start, NoStart);
        if (vector < 0)
        {
            return true;
        }

        Volatile.Write(ref _waitsForStart, false);
        ResetToRealMode((byte)vector);
        if (Volatile.Read(ref _vcpu.Info[SharedInfoLayout.UpcallPending]) != 0)
        {
            // INIT took from the APIC what will not be sent again as long as the flag is set.
            UpcallRaised();
        }

        _vcpu.IsInitialised = true;
        _vcpu.MarkUp();
        return false;
    }

    /// <summary>The processor goes on after HLT.</summary>
    public void Wake() => _halted = false;

    /// <inheritdoc/>
    public void Send(LocalApic sender, in ApicCommand command)
    {
        foreach (Vcpu target in _domain.Vcpus)
        {
            if (command.IsFor(target.Hvm!.Apic, sender))
            {
                target.Hvm.Receive(command);
                if (command is { Mode: ApicCommand.LowestPriority, Shorthand: ApicCommand.ByDestination })
                {
                    return;
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Wake(LocalApic apic) => _vcpu.Kick();

    /// <inheritdoc/>
    public void SetTimer(long? deadline)
    {
        if (deadline is { } at)
        {
            _timer.Set(HostClock.Now + Math.Max(0, at - Now));
        }
        else
        {
            // The APIC resets its timer before ours is made.
            _timer?.Cancel();
        }
    }

    /// <inheritdoc/>
    protected override byte* PhysicalPage(ulong frame, bool write)
    {
        uint mfn = _physmap[frame];
        return mfn == 0 ? null : _memory + ((nuint)mfn << 12);
    }

    /// <inheritdoc/>
    protected override uint ReadDevice(ulong physical) =>
        physical - LocalApic.Address < Layout.PageSize ? Apic.Read((uint)(physical - LocalApic.Address)) : uint.MaxValue;

    /// <inheritdoc/>
    protected override void WriteDevice(ulong physical, uint value)
    {
        if (physical - LocalApic.Address < Layout.PageSize)
        {
            Apic.Write((uint)(physical - LocalApic.Address), value);
        }
    }

    /// <inheritdoc/>
    protected override int AcknowledgeInterrupt()
    {
        _vcpu.Upcalls++;
        return IsUpcallDue ? _parameters.CallbackVector : Apic.Acknowledge();
    }

    /// <inheritdoc/>
    protected override bool TakeNmi() => _vcpu.TakeNmi();

    /// <inheritdoc/>
    protected override void WriteTsc(ulong value) => _tscOffset = value - (ulong)_domain.Clock.Now;

    /// <inheritdoc/>
    protected override void Halt(CpuState* cpu)
    {
        _halted = true;
        if ((LazyFlags.Read(cpu) & Flags.If) == 0)
        {
            // As in Xen: who halts for good is down, and where all are, that was the guest's power-off.
            _ = VcpuOp.BringDown(_vcpu);
        }
    }

    /// <inheritdoc/>
    protected override void Shutdown(CpuState* cpu, string reason) => _domain.Crash(_vcpu, reason);

    /// <inheritdoc/>
    protected override bool AttendOutside(CpuState* cpu)
    {
        if (!_vcpu.AttendNative())
        {
            return false;
        }

        if (_domain.Clock.Now - _vcpu.TimeUpdatedAt > SharedTime.RenewAfter)
        {
            SharedTime.Update(_vcpu);
        }

        return true;
    }

    /// <inheritdoc/>
    protected override bool CallOwner(CpuState* cpu, uint nextEip)
    {
        if (cpu->Cpl != 0)
        {
            cpu->Gpr[(int)Gpr.Eax] = unchecked((uint)-Errno.EPERM);
            cpu->Eip = nextEip;
            return true;
        }

        HypercallDispatch.Enter(_vcpu, nextEip);
        if (_vcpu.IsWaitRequested || _domain.IsStopped)
        {
            cpu->Attention = 1;
        }

        return true;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _timer.Cancel();
        base.Dispose(disposing);
    }

    private bool IsMemory(byte* host) => (nuint)(host - _memory) >> 12 < _domain.Hypervisor.Machine.FrameCount;

    private void Receive(in ApicCommand command)
    {
        switch (command.Mode)
        {
            case ApicCommand.Fixed or ApicCommand.LowestPriority:
                Apic.Accept(command.Vector);
                _vcpu.Kick();
                break;
            case ApicCommand.Nmi:
                _vcpu.SendNmi();
                break;
            case ApicCommand.Init when !command.IsDeassert:
                Volatile.Write(ref _start, NoStart);
                Interlocked.Exchange(ref _init, 1);
                _vcpu.Start();
                break;
            case ApicCommand.Startup when Volatile.Read(ref _init) != 0 || Volatile.Read(ref _waitsForStart):
                Interlocked.Exchange(ref _start, command.Vector);
                _vcpu.Start();
                break;
        }
    }

    private void TimerElapsed() => Apic.Timer.Elapsed();
}
