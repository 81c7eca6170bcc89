using Dbt.Translator.Diagnostics;
using Dbt.Translator.Memory;
using Dbt.Translator.State;

namespace Dbt.Translator.Protection;

/// <summary>
/// A processor of the i386 with its own system architecture: rings 0 to 3, page tables, IDT, TSS, control and debug registers, as an
/// unmodified kernel finds them (SDM vol. 3). What lies around the processor (memory, ports, devices, interrupt controller, identity) is
/// the derived class's. Members are called on the processor's own thread unless they say otherwise.
/// </summary>
public abstract unsafe partial class NativePlatform : Platform, IDisposable
{
    private readonly SoftwareTlb _tlb = new();

    // By 2 MiB: an entry may have been filled from a page of 2 or 4 MiB.
    private readonly bool[] _largeRegions = new bool[2048];
    private readonly SystemUnit _system;
    private readonly DeviceWindow _device;
    private Fault _descriptorFault;
    private bool _hasDescriptorFault;
    private bool _isStopped;

    /// <summary>Makes a processor in the state that INIT leaves but in flat 32-bit protected mode without paging, at EIP 0.</summary>
    /// <param name="memoryBase">Host address of physical frame 0 of <see cref="Platform.CodeMap"/>'s machine.</param>
    protected NativePlatform(byte* memoryBase)
    {
        Cpu = CpuState.Allocate();
        Cpu->MemoryBase = memoryBase;
        Cpu->TlbRoot = _tlb.Root;
        _system = new SystemUnit(this);
        _device = new DeviceWindow(this);
        _windows = new SpaceWindows(LookAround, () => CodeMap.Dirty.IsOn);
        Reset();
    }

    /// <summary>Architectural state.</summary>
    public CpuState* Cpu { get; private set; }

    /// <summary>Entries filled into the software TLB so far.</summary>
    public long TlbFills => _tlb.Fills;

    /// <summary>IA32_EFER: NXE only.</summary>
    internal ulong Efer => _system.Registers.Efer;

    /// <summary>Address bits that the processor has.</summary>
    internal ulong PhysicalMask => (1UL << PhysicalAddressBits) - 1;

    /// <inheritdoc/>
    internal override SystemUnit SystemUnit => _system;

    /// <summary>The state a kernel's entry point is given: flat ring-0 segments, paging and interrupts off.</summary>
    public void Reset()
    {
        CpuState* cpu = Cpu;
        for (int i = 0; i < 8; i++)
        {
            cpu->Gpr[i] = 0;
            cpu->Dr[i] = 0;
        }

        cpu->Dr[6] = Breakpoints.Dr6Fixed;
        cpu->Dr[7] = Breakpoints.Dr7Fixed;
        cpu->Cpl = 0;
        cpu->Eip = 0;
        cpu->FlagOp = (uint)FlagOperation.Materialised;
        cpu->Eflags = Flags.Fixed;
        cpu->Cr0 = ControlBits.Cr0Pe | ControlBits.Cr0Et;
        cpu->Cr2 = cpu->Cr3 = cpu->Cr4 = 0;
        (cpu->GdtrBase, cpu->GdtrLimit, cpu->IdtrBase, cpu->IdtrLimit) = (0, 0, 0, 0xFFFF);
        cpu->Ldtr = Segment.FromDescriptor(0, 0x0000_8200_0000_FFFF);
        cpu->Tr = Segment.FromDescriptor(0, 0x0000_8B00_0000_FFFF);
        cpu->Segments[SegmentIndex.Cs] = Segment.FromDescriptor(0, 0x00CF_9B00_0000_FFFF);
        foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            cpu->Segments[index] = Segment.FromDescriptor(0, 0x00CF_9300_0000_FFFF);
        }

        // FXSAVE's image after FNINIT, MXCSR after a reset.
        new Span<byte>(&cpu->Fx, 512).Clear();
        *(ushort*)&cpu->Fx = 0x037F;
        *(uint*)((byte*)&cpu->Fx + 24) = 0x1F80;
        cpu->InterruptShadow = 0;
        cpu->InterruptWaits = 0;
        cpu->BreakpointHits = 0;
        cpu->RealMode = 0;
        _isStopped = false;
        _system.Reset();
        _recent.Clear();
        _windows.Clear();
        FlushAll();
        cpu->RefreshMode();
    }

    /// <summary>
    /// The state that a start-up IPI leaves: real mode, at the first byte of the page that its vector names (SDM vol. 3, 9.1.4 and 11.6).
    /// Interrupts go through the table that IDTR names, at 0 to begin with.
    /// </summary>
    /// <param name="vector">Page below 1 MiB.</param>
    public void ResetToRealMode(byte vector)
    {
        Reset();
        CpuState* cpu = Cpu;
        cpu->Cr0 = ControlBits.Cr0Et | ControlBits.Cr0Nw | ControlBits.Cr0Cd;
        cpu->RealMode = 1;
        foreach (SegmentIndex index in (ReadOnlySpan<SegmentIndex>)[SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
        {
            cpu->Segments[index] = Virtual8086.SegmentOf(0);
        }

        cpu->Segments[SegmentIndex.Cs] = Virtual8086.CodeOf((ushort)(vector << 8));
        cpu->RefreshMode();
    }

    /// <inheritdoc/>
    public override bool TryReadDescriptor(CpuState* cpu, ushort selector, out ulong descriptor)
    {
        _hasDescriptorFault = false;
        if (_system.Descriptors.TryFind(cpu, selector, out uint address))
        {
            if (_system.Memory.TryRead64(cpu, address, out descriptor))
            {
                return true;
            }

            _hasDescriptorFault = true;
            _descriptorFault = cpu->Fault;
        }

        descriptor = 0;
        return false;
    }

    /// <inheritdoc/>
    internal override bool TakeDescriptorFault(CpuState* cpu)
    {
        if (_hasDescriptorFault)
        {
            cpu->Fault = _descriptorFault;
        }

        return _hasDescriptorFault;
    }

    /// <inheritdoc/>
    internal override bool TrySetAccessed(CpuState* cpu, ref Segment segment) => _system.Descriptors.TrySetAccessed(cpu, ref segment);

    /// <inheritdoc/>
    public override void DeliverFault(CpuState* cpu)
    {
        if (_isStopped)
        {
            cpu->Attention = 1;
            return;
        }

        int doing = cpu->Doing;
        cpu->Doing = (int)ProcessorActivity.Delivering;
        _device.Abandon();
        _system.Interrupts.DeliverException(cpu);
        cpu->Doing = doing;
    }

    /// <inheritdoc/>
    public override void SoftwareInterrupt(CpuState* cpu, int vector, uint nextEip) => _system.Interrupts.DeliverSoftware(cpu, vector, nextEip);

    /// <inheritdoc/>
    public sealed override bool ExecutePrivileged(CpuState* cpu, in Iced.Intel.Instruction instruction) => false;

    /// <summary>
    /// What every processor does when it is asked to look around: hands a device what was written to it, then lets the owner wait, stop or
    /// bring events, then takes NMI and external interrupts.
    /// </summary>
    public sealed override bool Attend(CpuState* cpu)
    {
        cpu->Attention = 0;
        _device.Finish();
        if (!AttendOutside(cpu))
        {
            return false;
        }

        _system.Interrupts.TakeExternal(cpu);
        return true;
    }

    /// <summary>Stops the processor: see <see cref="Shutdown"/>.</summary>
    internal void Stop(CpuState* cpu, string reason)
    {
        cpu->Attention = 1;
        _isStopped = true;
        Shutdown(cpu, reason);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        GC.SuppressFinalize(this);
        Dispose(true);
    }

    /// <summary>Frees the processor's state.</summary>
    /// <param name="disposing">False in a finaliser, of which there is none.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (Cpu != null)
        {
            CpuState.Free(Cpu);
            Cpu = null;
            lock (TlbLock)
            {
                _tlb.Dispose();
                _windows.Dispose();
            }
        }
    }
}
