using System.Runtime.CompilerServices;
using Dbt.Translator.Interpretation.Threaded;
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

    /// <summary>Entries of the table by which computed jumps find their blocks.</summary>
    public const int JumpEntries = 1 << 15;

    // Executions of a block that has used up its own, until the engine sees it again.
    private const uint RegrantedExecutions = 512;

    /// <summary>Blocks by EIP, for computed jumps; null before the first.</summary>
    internal ThreadedBlock** Jumps;

    /// <summary>The link by which the last block was left; null where it was left otherwise.</summary>
    internal ThreadedBlock** OpenLink;

    private const uint DebugSingleStep = 1u << 14;

    private readonly SingleCache _single = new();
    private readonly ThreadedCode _code = new();
    private uint _openEip;
    private CpuMode _openMode;

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

    /// <summary>Executions of a block before the engine wants to see it.</summary>
    internal uint ChainLimit { get; set; } = uint.MaxValue;

    /// <summary>Where computed jumps went.</summary>
    internal JumpTargets JumpTargets => _code.Targets;

    /// <summary>Whether the blocks take so much memory that it is time to forget them.</summary>
    internal bool IsFull => _code.IsFull;

    /// <summary>Executes a block from its first instruction, and what it is chained to, until something is to be looked at.</summary>
    public Outcome ExecuteBlock(CpuState* cpu, DecodedBlock block) =>
        block.Code != null ? Execute(cpu, block.Code) : ExecuteAlone(cpu, in block.Single[0]);

    /// <summary>
    /// The block for EIP and mode that the last one is linked to, or that the jump table has; null where there is none, or its page is
    /// mapped differently now.
    /// </summary>
    public ThreadedBlock* FindBlock(CpuState* cpu)
    {
        if (Jumps == null)
        {
            return null;
        }

        if (OpenLink != null && IsAt(cpu, *OpenLink))
        {
            return *OpenLink;
        }

        ThreadedBlock* block = Jumps[Threaded.Chain.JumpIndex(cpu->Eip)];
        return IsAt(cpu, block) ? block : null;
    }

    /// <summary>Executes threaded code.</summary>
    [MethodImpl(HostCompilation.AtOnce)]
    public Outcome Execute(CpuState* cpu, ThreadedBlock* block)
    {
        cpu->InterruptShadow = 0;
        if (block->Left == 0)
        {
            block->Grant(RegrantedExecutions);
        }

        block->Left--;
        if (block->ExecuteEntry != ThreadedBlock.Never)
        {
            Jumps[Threaded.Chain.JumpIndex(block->Eip)] = block;
            if (OpenLink != null && _openEip == block->Eip && _openMode == block->Mode)
            {
                *OpenLink = block;
            }
        }

        OpenLink = null;
        cpu->ChainLeft = Threaded.Chain.MaxInstructions;
        Op* first = ThreadedBlock.First(block);
        var outcome = (Outcome)first->Routine(this, cpu, first);
        cpu->RetiredInterpreted += (uint)(Threaded.Chain.MaxInstructions - cpu->ChainLeft);
        (_openEip, _openMode) = (cpu->Eip, cpu->Mode);
        return outcome == Outcome.Completed ? Ended() : outcome;
    }

    /// <summary>Forgets all blocks; none may be running.</summary>
    public void Forget()
    {
        _code.Clear();
        OpenLink = null;
        _keptCount = FirstKept;
    }

    private Outcome ExecuteAlone(CpuState* cpu, in DecodedInstruction d)
    {
        cpu->InterruptShadow = 0;
        if (!d.Handler(this, cpu, in d))
        {
            AbandonWrite();
            return Outcome.Faulted;
        }

        cpu->RetiredInterpreted++;
        if ((d.Flags & DecodedFlags.SetsEip) == 0)
        {
            cpu->Eip = d.NextEip;
        }

        return Ended();
    }

    private static bool IsAt(CpuState* cpu, ThreadedBlock* block) =>
        block->Eip == cpu->Eip && block->Mode == cpu->Mode && block->ExecuteEntry == Threaded.Chain.ExecuteEntry(cpu, cpu->Eip);

    private Outcome Ended()
    {
        if (!Transferred)
        {
            return Outcome.Completed;
        }

        Transferred = false;
        return Outcome.Transferred;
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
            if (!TryDecode(cpu, host, 1, true, out block))
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
    public void Dispose()
    {
        _code.Dispose();
        HostMemory.Release(_scratch, ScratchBytes);
    }
}
