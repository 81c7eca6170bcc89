using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dbt.Translator.State;

/// <summary>Index of a general register, in the order of the instruction encoding.</summary>
public enum Gpr
{
#pragma warning disable CS1591 // the manual's own names
    Eax, Ecx, Edx, Ebx, Esp, Ebp, Esi, Edi,
#pragma warning restore CS1591
}

/// <summary>
/// One virtual processor's architectural state, in native memory so that translated code reaches it through a pointer.
/// Only the processor's own thread writes it, but for <see cref="Attention"/>, which any thread may raise.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct CpuState
{
    /// <summary>EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI.</summary>
    public fixed uint Gpr[8];

    /// <summary>Offset in CS of the next instruction; during one, of that instruction.</summary>
    public uint Eip;

    /// <summary>Who holds the status flags: <see cref="FlagOperation"/> in bits 0..7, operand size in bytes (1, 2, 4) in bits 8..15.</summary>
    public uint FlagOp;

    /// <summary>First operand of the last flag-setting operation.</summary>
    public uint FlagA;

    /// <summary>Second operand of the last flag-setting operation.</summary>
    public uint FlagB;

    /// <summary>Result of the last flag-setting operation.</summary>
    public uint FlagResult;

    /// <summary>EFLAGS. The status bits count only where FlagOp is <see cref="FlagOperation.Materialised"/>; all others always.</summary>
    public uint Eflags;

    /// <summary>Non-zero asks the processor to leave guest code at the next block boundary or loop back edge. Any thread may set it.</summary>
    public volatile int Attention;

    /// <summary><see cref="CpuMode"/>, derived.</summary>
    public CpuMode Mode;

    /// <summary>Software TLB in force for the present CPL and address space: see <see cref="Memory.SoftwareTlb"/>.</summary>
    public nint Tlb;

    /// <summary>Host address of machine frame 0; frame number = (host - MemoryBase) >> 12.</summary>
    public byte* MemoryBase;

    /// <summary>Both halves of the software TLB: supervisor at this address, user at this address + <see cref="Memory.SoftwareTlb.HalfBytes"/>.</summary>
    public nint TlbRoot;

    /// <summary>Set by a write into translated code while an instruction runs: the current block must not go on. Cleared by the dispatcher.</summary>
    public int CodeChanged;

    /// <summary>Current privilege level, 0 to 3.</summary>
    public int Cpl;

    /// <summary>Vector of the fault that stopped the last instruction: see <see cref="Fault"/>.</summary>
    public Fault Fault;

    /// <summary>
    /// After an instruction that holds off interrupts for one more: 1 after STI, 2 after MOV SS and POP SS, which hold off debug traps too
    /// (SDM vol. 3, 6.8.3).
    /// </summary>
    public int InterruptShadow;

    /// <summary>Always 0: what the interpreter adds for an absent base or index, and what code by the window stores for a 0.</summary>
    public readonly uint Zero;

    /// <summary>Segment registers.</summary>
    public SegmentFile Segments;

    /// <summary>Local descriptor table register.</summary>
    public Segment Ldtr;

    /// <summary>Task register.</summary>
    public Segment Tr;

    /// <summary>Descriptor tables: base and limit.</summary>
    public uint GdtrBase, GdtrLimit, IdtrBase, IdtrLimit;

    /// <summary>Control registers.</summary>
    public uint Cr0, Cr2, Cr3, Cr4;

    /// <summary>IA32_TSC_AUX, which RDTSCP and RDPID give.</summary>
    public uint TscAux;

    /// <summary>Debug registers 0 to 7 (4 and 5 unused).</summary>
    public fixed uint Dr[8];

    /// <summary>Guest instructions retired, by tier.</summary>
    public ulong RetiredInterpreted, RetiredQuick, RetiredOptimized;

    /// <summary>x87, MMX and SSE state in FXSAVE's 512-byte layout (SDM vol. 1, 10.5.1), 16-byte aligned through the state's own alignment.</summary>
    public FxArea Fx;

    /// <summary>Where the host's x87 unit is saved before it is taken back into <see cref="Fx"/>.</summary>
    public FxArea FxLive;

    /// <summary>Where translated code leaves what the dispatcher wants to know: see the code cache.</summary>
    public nint ExitInfo;

    /// <summary>1 while an external interrupt waits for EFLAGS.IF: what sets IF then raises <see cref="Attention"/>.</summary>
    public volatile int InterruptWaits;

    /// <summary>Data and I/O breakpoints that the present instruction met, as DR6 shows them.</summary>
    public uint BreakpointHits;

    /// <summary>1 in real mode (CR0.PE clear), which a processor is in after INIT until its start-up code leaves it.</summary>
    public int RealMode;

    /// <summary><see cref="LiveUnit"/>s whose registers are the host's own at present: only while translated code runs.</summary>
    public int LiveUnits;

    /// <summary>The host's MXCSR while the guest's is live.</summary>
    public uint HostMxcsr;

    /// <summary>Where results go that only exist for the exception flags they raise; never read.</summary>
    public ulong Scratch0, Scratch1;

    /// <summary>Last x87 instruction since the unit went live: EIP, opcode in bits 32 to 42, bit 63 set. 0: none.</summary>
    public ulong X87Last;

    /// <summary>Its data: offset, and the segment register's <see cref="SegmentIndex"/> in bits 32 to 39, bit 63 set. 0: none.</summary>
    public ulong X87Data;

    /// <summary>Instructions that the interpreter's chained blocks may still execute before they return to the engine.</summary>
    public int ChainLeft;

    /// <summary>What the processor does: a <see cref="Diagnostics.ProcessorActivity"/> in bits 0 to 7, a hypercall's number above. For whoever samples it.</summary>
    public volatile int Doing;

    /// <summary>1 while a sampler waits for the processor's <see cref="Diagnostics.SamplePoint.Report"/>.</summary>
    public volatile int SampleWanted;

    /// <summary>What the processor reported: linear address, CR3, privilege level, and the host address of the code's page, 0 for unknown.</summary>
    public uint SampledAddress, SampledCr3;

    /// <summary>See <see cref="SampledAddress"/>.</summary>
    public int SampledCpl;

    /// <summary>See <see cref="SampledAddress"/>.</summary>
    public nint SampledPage;

    /// <summary>Set to 1 whenever the processor enters ring 3; whoever wants to know clears it.</summary>
    public int RanUserCode;

    /// <summary>
    /// Whether a kernel was seen to access memory by GS. One that doesn't leaves its programs' GS where it is, and its code would be another for
    /// each: until then <see cref="CpuMode.GsSimple"/> is for ring 3 only.
    /// </summary>
    public int KernelUsesGs;

    /// <summary>
    /// 16 bytes of 0 and of 0xFF, which translated code reads so that RyuJIT does not know them: what it computes while compiling raises none of
    /// the guest's exception flags and knows nothing of its rounding mode.
    /// </summary>
    public ulong OpaqueZeros, OpaqueZerosHigh, OpaqueOnes, OpaqueOnesHigh;

    /// <summary>Host code that translated code calls: <see cref="Interpretation.Native.LiveUnits"/>. Set by the engine.</summary>
    public nint ActivateCode, HarvestCode, HarvestX87Code;

    /// <summary>A GCHandle of the <see cref="Translator.Platform"/> that it is plugged into, for C# that translated code calls. Set by the engine.</summary>
    public nint Platform;

    /// <summary>The jump table for the kind of translated code that runs. Set by the engine.</summary>
    public nint JumpTable;

    /// <summary>
    /// Host address of linear address 0 in the <see cref="Memory.AddressWindow"/> of the address space in force, 0 where its programs run without one. Whoever changes the address space sets it too.
    /// </summary>
    public nint Window;

    /// <summary>Always 0: what translated code compares before an access by <see cref="Window"/>, as long as that comparison is in it. See <see cref="Cache.WindowAccesses"/>.</summary>
    public readonly byte NoFault;

    /// <summary>Always 0: what translated code that goes by <see cref="Window"/> compares where a loop begins. It isn't in the machine code, and keeps RyuJIT from repeating the loop's first access at its end.</summary>
    public readonly byte NoRepeat;

    /// <summary>The current CPL and mode bits from the segment registers and EFLAGS; also selects the TLB half.</summary>
    public void RefreshMode()
    {
        ref Segment cs = ref Segments[SegmentIndex.Cs], ss = ref Segments[SegmentIndex.Ss];
        ref Segment ds = ref Segments[SegmentIndex.Ds], es = ref Segments[SegmentIndex.Es];
        ref Segment fs = ref Segments[SegmentIndex.Fs], gs = ref Segments[SegmentIndex.Gs];
        CpuMode mode = (CpuMode)((uint)Cpl << 8);
        if (Cpl == 3)
        {
            mode |= CpuMode.User;
            RanUserCode = 1;
        }

        if (cs.Is32Bit)
        {
            mode |= CpuMode.Code32;
        }

        if (ss.Is32Bit)
        {
            mode |= CpuMode.Stack32;
        }

        if (cs.IsFlat && ds.IsFlat && es.IsFlat && ss.IsFlat && ds.Writable && es.Writable && ss.Writable && cs.Readable)
        {
            mode |= CpuMode.Flat;
        }

        if (fs.Low == 0 && fs.High == uint.MaxValue && fs.Writable)
        {
            mode |= CpuMode.FsSimple;
        }

        if ((Cpl == 3 || KernelUsesGs != 0) && gs.Low == 0 && gs.High == uint.MaxValue && gs.Writable)
        {
            mode |= CpuMode.GsSimple;
        }

        if ((Eflags & (Flags.Tf | Flags.Rf)) != 0)
        {
            mode |= CpuMode.SingleStep;
        }

        if ((Dr[7] & 0xFF) != 0)
        {
            mode |= CpuMode.SingleStep | CpuMode.Watched;
        }

        if (Cpl == 3 && (Eflags & Flags.Ac) != 0 && (Cr0 & (1u << 18)) != 0)
        {
            mode |= CpuMode.Watched | CpuMode.Aligned;
        }

        if ((Eflags & Flags.Vm) != 0 || RealMode != 0)
        {
            mode |= CpuMode.Virtual8086;
        }

        if ((Cr0 & 0xC) != 0)
        {
            mode |= CpuMode.FpuTrap | CpuMode.SseTrap;
        }

        if ((Cr4 & (1u << 9)) == 0)
        {
            mode |= CpuMode.SseTrap;
        }

        Mode = mode;
        Tlb = TlbRoot + (Cpl == 3 ? Memory.SoftwareTlb.HalfBytes : 0);
    }

    /// <summary>Allocates a zeroed state, 64-byte aligned; free with <see cref="Free"/>.</summary>
    public static CpuState* Allocate()
    {
        var state = (CpuState*)NativeMemory.AlignedAlloc((nuint)sizeof(CpuState), 64);
        Unsafe.InitBlock(state, 0, (uint)sizeof(CpuState));
        state->Eflags = Flags.Fixed;
        state->OpaqueOnes = state->OpaqueOnesHigh = ulong.MaxValue;
        return state;
    }

    /// <summary>Frees a state from <see cref="Allocate"/>.</summary>
    public static void Free(CpuState* state) => NativeMemory.AlignedFree(state);
}

/// <summary>512 bytes in FXSAVE's layout.</summary>
[InlineArray(64)]
public struct FxArea
{
    private ulong _first;
}
