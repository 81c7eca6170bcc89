using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dbt.Translator.Memory;
using Dbt.Translator.Protection;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation;

/// <summary>How the execution of an instruction or block ended.</summary>
internal enum Outcome
{
    /// <summary>Carried out; EIP names what comes next.</summary>
    Completed,

    /// <summary><see cref="CpuState.Fault"/> is set, EIP names the faulting instruction, nothing else has changed. Delivery is the caller's.</summary>
    Faulted,

    /// <summary>The platform took over within the instruction (software interrupt); no single-step trap follows it.</summary>
    Transferred,
}

/// <summary>
/// Executes decoded instructions on one virtual processor's thread: the reference for every other tier.
/// </summary>
internal sealed unsafe partial class Interpreter : IDisposable
{
    /// <summary>Value of <see cref="CpuState.InterruptShadow"/> that holds off debug traps.</summary>
    public const int HoldsTraps = 2;

    private const uint DebugSingleStep = 1u << 14;

    private readonly SingleCache _single = new();
    private Instruction[] _kept = [];

    private readonly bool _portable;

    /// <summary>Makes an interpreter for one processor.</summary>
    /// <param name="platform">What the processor is plugged into.</param>
    /// <param name="portableFloatingPoint">x87, MMX and SSE in C#, whatever the host has.</param>
    public Interpreter(Platform platform, bool portableFloatingPoint = false)
    {
        _portable = portableFloatingPoint;
        Platform = platform;
        SystemUnit = platform.SystemUnit;
        _codeMap = platform.CodeMap;
        _scratch = HostMemory.Reserve(ScratchBytes);
        Decoder = new InstructionDecoder();
    }

    /// <summary>What the processor is plugged into.</summary>
    public Platform Platform { get; }

    /// <summary>The processor's own system architecture; null where a hypervisor stands in its place.</summary>
    public SystemUnit? SystemUnit { get; }

    /// <summary>Set by an instruction that loads all of EFLAGS, RF among them (IRET, a task switch).</summary>
    public bool LoadedFlags { get; set; }

    /// <summary>Set by a repeated string instruction that stopped before its end.</summary>
    public bool Repeating { get; set; }

    /// <summary>Set by a routine after which no single-step trap follows (software interrupts).</summary>
    public bool Transferred { get; set; }

    internal InstructionDecoder Decoder { get; }

    /// <summary>Executes a block from its first instruction until it ends, faults, or its code is written.</summary>
    public Outcome ExecuteBlock(CpuState* cpu, DecodedBlock block)
    {
        DecodedInstruction[] instructions = block.Instructions;
        _kept = block.Kept;
        cpu->InterruptShadow = 0;
        ref DecodedInstruction d = ref MemoryMarshal.GetArrayDataReference(instructions);
        int count = instructions.Length;
        int done = 0;
        while (true)
        {
            if (!d.Handler(this, cpu, in d))
            {
                cpu->RetiredInterpreted += (uint)done;
                AbandonWrite();
                return Outcome.Faulted;
            }

            done++;
            if ((d.Flags & DecodedFlags.SetsEip) == 0)
            {
                cpu->Eip = d.NextEip;
            }
            else if (cpu->Eip != d.NextEip)
            {
                break; // a branch, or a REP that was interrupted
            }

            if (done == count || cpu->CodeChanged != 0)
            {
                break;
            }

            d = ref Unsafe.Add(ref d, 1);
        }

        cpu->RetiredInterpreted += (uint)done;
        if (Transferred)
        {
            Transferred = false;
            return Outcome.Transferred;
        }

        return Outcome.Completed;
    }

    /// <summary>
    /// Decodes and executes exactly one instruction at EIP (one iteration of a REP where TF is set). This is what follows a side exit.
    /// </summary>
    public Outcome ExecuteOne(CpuState* cpu)
    {
        if (!TryFetch(cpu, out byte* host))
        {
            return Outcome.Faulted;
        }

        DecodedBlock? block = _single.Find(host, cpu->Eip, cpu->Mode);
        if (block == null || !InsideCodeSegment(cpu, block))
        {
            if (!TryDecode(cpu, host, 1, out block))
            {
                return Outcome.Faulted;
            }

            if (!block.CrossesPage)
            {
                _single.Add(block, Decoder.Bytes);
            }
        }

        return ExecuteBlock(cpu, block);
    }

    /// <summary>
    /// Executes one instruction with everything that debugging asks of the processor: the breakpoint on it, RF, breakpoints on the data
    /// it touches, and the single-step trap where TF was set when it began (SDM vol. 3, 17.3.1). Delivers its fault. Used under
    /// <see cref="CpuMode.SingleStep"/>, and for the instruction in an interrupt shadow.
    /// </summary>
    public void Step(CpuState* cpu)
    {
        bool trace = (cpu->Eflags & Flags.Tf) != 0;
        bool resume = (cpu->Eflags & Flags.Rf) != 0;
        int shadow = cpu->InterruptShadow;
        if ((cpu->Mode & CpuMode.Watched) != 0 && !resume && shadow != HoldsTraps && Breakpoints.TakeInstruction(cpu))
        {
            cpu->InterruptShadow = 0;
            Platform.DeliverFault(cpu);
            return;
        }

        LoadedFlags = false;
        Repeating = false;
        Outcome outcome = ExecuteOne(cpu);
        if (outcome == Outcome.Faulted)
        {
            cpu->BreakpointHits = 0;
            cpu->InterruptShadow = 0;
            Platform.DeliverFault(cpu);
            return;
        }

        // Only the first of several such instructions in a row is sure to hold interrupts off (SDM vol. 3, 6.8.3);
        // so a guest cannot keep them off for ever.
        if (shadow != 0)
        {
            cpu->InterruptShadow = 0;
        }

        if (outcome != Outcome.Completed)
        {
            cpu->BreakpointHits = 0;
            return;
        }

        if (resume && !Repeating && !LoadedFlags)
        {
            cpu->Eflags &= ~Flags.Rf;
            cpu->RefreshMode();
        }

        uint reasons = cpu->BreakpointHits | (trace ? DebugSingleStep : 0);
        if (reasons != 0 && cpu->InterruptShadow != HoldsTraps)
        {
            cpu->BreakpointHits = 0;
            cpu->Dr[6] = (cpu->Dr[6] & ~0xFu) | reasons;
            cpu->Fault = new Fault { Vector = Vector.Debug };
            Platform.DeliverFault(cpu);
        }
    }

    /// <summary>The instruction in Iced's form, of a row that keeps it.</summary>
    public ref readonly Instruction Kept(in DecodedInstruction d) => ref _kept[d.Kept];

    /// <inheritdoc/>
    public void Dispose() => HostMemory.Release(_scratch, ScratchBytes);
}
