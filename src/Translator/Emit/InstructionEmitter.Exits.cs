using System.Reflection.Emit;
using Iced.Intel;
using Label = System.Reflection.Emit.Label;

namespace Dbt.Translator.Emit;

internal sealed partial class InstructionEmitter
{
    private const int MaxComparedTargets = 4;

    private readonly ExitTable _exits;
    private readonly Label _sideExit;
    private readonly LocalBuilder _code;
    private readonly Dictionary<(FlagValue, Label), Label> _spills = [];
    private readonly Label _return;
    private Label? _memoryExit;
    private Mnemonic _mnemonic;

    /// <summary>Common exit: store registers and EIP, return <see cref="ExitTable.Continue"/>.</summary>
    public Label Plain { get; }

    /// <summary>Common exit: store registers and EIP, find the translation at EIP.</summary>
    public Label Indirect { get; }

    /// <summary>Common exit: store registers and EIP, go on through a link.</summary>
    public Label Linked { get; }

    /// <summary>EIP for the common exits.</summary>
    public LocalBuilder EipLocal { get; }

    /// <summary>Address of the link for <see cref="Linked"/>.</summary>
    public LocalBuilder LinkLocal { get; }

    /// <summary>Where side exits end: store registers, return the code.</summary>
    public Label SideExitLabel => _sideExit;

    /// <summary>The code that a side exit returns.</summary>
    public LocalBuilder CodeLocal => _code;

    /// <summary>What the translation's instance holds.</summary>
    public InstanceLayout Instance { get; }

    /// <summary>Whether any indirect branch was emitted.</summary>
    public bool UsesIndirect { get; private set; }

    /// <summary>Whether any link was emitted.</summary>
    public bool UsesLinks { get; private set; }

    /// <summary>Where an indirect branch goes: the region's own entries first. Set by the region emitter.</summary>
    public Label IndirectTarget { get; set; }

    /// <summary>A place to branch to, with an empty IL stack, that leaves the instruction to the interpreter.</summary>
    public Label SideExit(SideExitKind kind) => SideExit(kind, default);

    /// <summary>Returns a code to the dispatcher.</summary>
    public void Return(int code)
    {
        Constant(code);
        Il.Emit(OpCodes.Stloc, _code);
        Il.Emit(OpCodes.Br, _return);
    }

    /// <summary>Writes the one place that returns: what is live is taken back first, for behind the return the runtime's own code may run.</summary>
    public void EmitReturn()
    {
        Il.MarkLabel(_return);
        Label leave = Il.DefineLabel();
        LoadState(StateLayout.LiveUnits, OpCodes.Ldind_I4);
        Il.Emit(OpCodes.Brfalse, leave);
        Il.Emit(OpCodes.Ldarg_0);
        CallHost(StateLayout.HarvestCode, typeof(void), typeof(nint));
        Il.MarkLabel(leave);
        Il.Emit(OpCodes.Ldloc, _code);
        Il.Emit(OpCodes.Ret);
    }

    /// <summary>The next access of this instruction is told apart from the ones before it where it leaves.</summary>
    public void SeparateAccess() => _memoryExit = null;

    /// <summary>Branches to the exit of a memory access; all accesses of one instruction share it.</summary>
    private Label MemoryExit(in MemorySite site) => _memoryExit ??= SideExit(SideExitKind.Memory, site);

    private Label SideExit(SideExitKind kind, in MemorySite site)
    {
        Label label = Il.DefineLabel();
        FlagValue flags = Flags;
        int code = _exits.Add(new ExitSite(kind, Eip, _uncounted + Position, Optimized, _mnemonic, site));
        Defer(() =>
        {
            Il.MarkLabel(label);
            Constant(code);
            Il.Emit(OpCodes.Stloc, _code);
            LeaveWithFlags(flags, _sideExit);
        });
        return label;
    }

    /// <summary>Leaves the current instruction, and with it the block, to the interpreter.</summary>
    public void LeaveToInterpreter()
    {
        Il.Emit(OpCodes.Br, SideExit(SideExitKind.Untranslated));
        BlockEnded = true;
    }

    /// <summary>Ends the block behind the instruction for the dispatcher to go on: what code is translated for may have changed.</summary>
    public void LeaveBehind()
    {
        Retire();
        Count(_uncounted);
        Constant((int)NextEip);
        Il.Emit(OpCodes.Stloc, EipLocal);
        LeaveWithFlags(Flags, Plain);
        BlockEnded = true;
    }

    /// <summary>Ends the block: go to <paramref name="target"/>.</summary>
    public void GoTo(uint target)
    {
        EmitEdge(target);
        BlockEnded = true;
    }

    /// <summary>Ends the block: where the comparison of the two pushed values holds, go to <paramref name="target"/>, else to <paramref name="next"/>.</summary>
    public void GoToIf(Comparison comparison, uint target, uint next)
    {
        if (BranchesDirectly(target, out GuestBlock? block))
        {
            if (block.Uncounted != _uncounted)
            {
                throw new InvalidOperationException($"The translation of {_mnemonic} branches without saying so where it counts.");
            }

            Arrive(block);
            Il.Emit(comparison.Branch(), block.Label);
        }
        else if (block is not null)
        {
            if (target <= Eip && Repeats(block))
            {
                Label again = Il.DefineLabel();
                Il.Emit(comparison.Branch(), again);
                EmitEdge(next);
                Il.MarkLabel(again);
                EmitEdge(target);
                BlockEnded = true;
                return;
            }

            // A loop's back edge stays in line, with its poll.
            Label fall = Il.DefineLabel();
            Il.Emit(comparison.Not().Branch(), fall);
            EmitEdge(target);
            Il.MarkLabel(fall);
        }
        else
        {
            Label leave = Il.DefineLabel();
            Il.Emit(comparison.Branch(), leave);
            FlagValue flags = Flags;
            int uncounted = _uncounted;
            Defer(() =>
            {
                Il.MarkLabel(leave);
                LeaveThroughLink(target, flags, uncounted);
            });
        }

        EmitEdge(next);
        BlockEnded = true;
    }

    /// <summary>Ends the block: go to the address in <see cref="EipLocal"/>, trying the region's own return sites first where it is a return.</summary>
    public void GoToIndirect(bool isReturn)
    {
        // Wherever that may lead begins with all counted.
        Count(_uncounted);
        _uncounted = 0;
        SpillFlags();
        if (isReturn)
        {
            foreach (GuestBlock block in Region.ReturnSites)
            {
                Il.Emit(OpCodes.Ldloc, EipLocal);
                Constant((int)block.Start);
                if (block.Start > Eip)
                {
                    Il.Emit(OpCodes.Beq, block.Label);
                    continue;
                }

                Label other = Il.DefineLabel();
                Il.Emit(OpCodes.Bne_Un, other);
                Poll(block.Start);
                Il.Emit(OpCodes.Br, block.Label);
                Il.MarkLabel(other);
            }
        }

        else if (Region.JumpTargets.TryGetValue(Eip, out List<GuestBlock>? targets))
        {
            // Many are found faster by the search that entries go through.
            LoadAttention();
            Il.Emit(OpCodes.Brtrue, Plain);
            foreach (GuestBlock block in targets.Take(MaxComparedTargets))
            {
                Il.Emit(OpCodes.Ldloc, EipLocal);
                Constant((int)block.Start);
                Il.Emit(OpCodes.Beq, block.Label);
            }
        }

        UsesIndirect = true;
        Il.Emit(OpCodes.Br, IndirectTarget);
        BlockEnded = true;
    }

    private void EmitEdge(uint target)
    {
        if (!Region.ByStart.TryGetValue(target, out GuestBlock? block))
        {
            LeaveThroughLink(target, Flags, _uncounted);
            return;
        }

        if (target <= Eip)
        {
            Poll(target);
            CountUpTo(block);
            if (Repeats(block))
            {
                Repeat(block);
                return;
            }
        }
        else
        {
            CountUpTo(block);
        }

        if (MustSpill(block))
        {
            Flags.Store(this);
        }

        Arrive(block);
        Il.Emit(OpCodes.Br, block.Label);
    }

    /// <summary>A block with one way in takes over the flags as they are; all others find them in the processor's state.</summary>
    private void Arrive(GuestBlock block)
    {
        if (block.InheritsFlags)
        {
            block.EntryFlags = Flags;
        }
    }

    private bool MustSpill(GuestBlock block) => !block.InheritsFlags && block.FlagsLiveIn && Flags is not StateFlags;

    /// <summary>Leaves if the processor's attention is wanted. Every loop passes one, because some edge of it goes backwards.</summary>
    private void Poll(uint target)
    {
        LoadAttention();
        Label wanted = Il.DefineLabel();
        Il.Emit(OpCodes.Brtrue, wanted);
        FlagValue flags = Flags;
        int uncounted = _uncounted;
        Defer(() =>
        {
            Il.MarkLabel(wanted);
            Count(uncounted);
            Constant((int)target);
            Il.Emit(OpCodes.Stloc, EipLocal);
            LeaveWithFlags(flags, Plain);
        });
    }

    /// <summary>Pushes Attention.</summary>
    public void LoadAttention()
    {
        StateAddress(StateLayout.Attention);
        Il.Emit(OpCodes.Volatile);
        Il.Emit(OpCodes.Ldind_I4);
    }

    private void LeaveThroughLink(uint target, FlagValue flags, int uncounted)
    {
        Count(uncounted);
        Constant((int)target);
        Il.Emit(OpCodes.Stloc, EipLocal);
        UsesLinks = true;
        InstanceAddress(Instance.AddLink(target));
        Il.Emit(OpCodes.Stloc, LinkLocal);
        LeaveWithFlags(flags, Linked);
    }

    /// <summary>Goes to an exit by way of code that stores the flags, which all leavers with the same flags share.</summary>
    private void LeaveWithFlags(FlagValue flags, Label exit)
    {
        if (flags is StateFlags)
        {
            Il.Emit(OpCodes.Br, exit);
            return;
        }

        if (!_spills.TryGetValue((flags, exit), out Label spill))
        {
            spill = Il.DefineLabel();
            _spills.Add((flags, exit), spill);
            Label shared = spill;
            Defer(() =>
            {
                Il.MarkLabel(shared);
                flags.Store(this);
                Il.Emit(OpCodes.Br, exit);
            });
        }

        Il.Emit(OpCodes.Br, spill);
    }
}
