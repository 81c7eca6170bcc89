using Dbt.Translator.Emit;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// Makes accesses by the address window (<see cref="Memory.AddressWindow"/>) free of checks. In what RyuJIT compiled each has a mark before it: a comparison that always fails, with a branch to where the access goes on
/// if it faults, so that registers are as they should be there. Comparison and branch are left out, and it is noted which exit belongs to the access (<see cref="FaultExits"/>).
/// <para>
/// That is right only where the access is the next thing that happens behind the mark, or only registers are moved before it that the exit has no use for. Where it isn't so, the code can't be used.
/// </para>
/// </summary>
/// <param name="code">The instructions by their offsets.</param>
internal sealed class WindowAccesses(SortedDictionary<ulong, Instruction> code)
{
    private const int MostBeforeCode = 24;
    private readonly ExitRegisters _exits = new(code);
    private readonly HashSet<ulong> _jumpedTo = [], _fallenInto = [], _between = [];

    /// <summary>The accesses that were made so, and where each goes on if it faults.</summary>
    public Dictionary<ulong, ulong> Freed { get; } = [];

    /// <summary>Instructions that are to be left out.</summary>
    public HashSet<ulong> Erased { get; } = [];

    /// <summary>Branches that are to be jumps.</summary>
    public HashSet<ulong> Always { get; } = [];

    /// <summary>Exit codes (<see cref="ExitTable"/>) of the accesses that could not.</summary>
    public HashSet<int> Refused { get; } = [];

    /// <summary>Looks at all.</summary>
    /// <returns>False where the code can't be used. If nothing is <see cref="Refused"/> then, there is no way to make it usable.</returns>
    public bool TryFree()
    {
        var marks = new List<WindowMark>();
        foreach (Instruction compare in code.Values)
        {
            if (!WindowMark.IsRead(compare))
            {
                continue;
            }

            // RyuJIT does it otherwise where it doesn't optimise: in a method that is too large for that.
            if (compare.Code != Code.Cmp_rm8_imm8 || compare.Immediate8 != 0)
            {
                return false;
            }

            if (!WindowMark.TryFind(code, compare, out Instruction branch, out WindowMark mark))
            {
                return false;
            }

            Erased.Add(compare.IP);
            (mark.IsInverted ? Always : Erased).Add(branch.IP);
            if (WindowMark.IsOfAccess(compare))
            {
                marks.Add(mark);
            }
        }

        FindOtherWays();
        return marks.TrueForAll(mark => TryFindAccess(mark) || TryRefuse(mark.Exit)) && Refused.Count == 0;
    }

    /// <summary>Where code goes otherwise than past a mark.</summary>
    private void FindOtherWays()
    {
        foreach (Instruction instruction in code.Values)
        {
            if (Erased.Contains(instruction.IP) || Always.Contains(instruction.IP))
            {
                continue;
            }

            if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
            {
                _jumpedTo.Add(instruction.NearBranchTarget);
            }

            if (instruction.FlowControl is not (FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return))
            {
                _fallenInto.Add(instruction.NextIP);
            }
        }
    }

    /// <summary>
    /// Notes the access behind a mark, if nothing happens before that the exit would notice. Nobody else may come there: what only the exit has use for would be elsewhere then. Several marks of one access may, where all
    /// of them lead to the same place and nothing is between, as registers are the same then.
    /// </summary>
    private bool TryFindAccess(WindowMark mark)
    {
        ulong at = mark.Next;
        uint written = 0;
        for (int passed = 0; passed <= WindowMark.MostBetween && code.TryGetValue(at, out Instruction next); passed++)
        {
            if (_jumpedTo.Contains(at) || (passed == 0 && _fallenInto.Contains(at)) || Erased.Contains(at) || next.FlowControl != FlowControl.Next)
            {
                return false;
            }

            if (_exits.IsAccess(next))
            {
                bool direct = at == mark.Next;
                if (!Freed.TryAdd(at, mark.Exit) && !(direct && Freed[at] == mark.Exit && !_between.Contains(at)))
                {
                    return false;
                }

                return direct || _between.Add(at);
            }

            if (!_exits.MayPrecede(next, mark.Exit, ref written))
            {
                return false;
            }

            at = next.NextIP;
        }

        return false;
    }

    /// <summary>Notes which access it is that an exit belongs to: its code is loaded there.</summary>
    private bool TryRefuse(ulong exit)
    {
        for (int i = 0; i < MostBeforeCode && code.TryGetValue(exit, out Instruction instruction); i++)
        {
            if (instruction.Mnemonic == Mnemonic.Mov && instruction.Op1Kind == OpKind.Immediate32 && instruction.Immediate32 >= ExitTable.FirstSite)
            {
                Refused.Add((int)instruction.Immediate32);
                return true;
            }

            exit = instruction.FlowControl == FlowControl.UnconditionalBranch ? instruction.NearBranchTarget : instruction.NextIP;
        }

        return false;
    }
}
