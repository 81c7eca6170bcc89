using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// Leaves out of a region's machine code that it saves the host's registers and takes them back: regions go on to one another by jumps, so that each would do that for the next one. <see cref="RegionEntry"/> does it once for all.
/// The room on the stack stays as it was, so nothing else changes.
/// </summary>
internal sealed class MachineFrame
{
    private const int MostPushes = 8, PushBytes = 8;
    private readonly List<Instruction> _code;
    private readonly HashSet<ulong> _jumpedTo;
    private readonly HashSet<ulong> _known = [];

    private MachineFrame(List<Instruction> code)
    {
        _code = code;
        _jumpedTo = [.. code.Where(static i => i.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch).Select(static i => i.NearBranchTarget)];
    }

    /// <summary>What stands in an instruction's place; nothing where it is left out.</summary>
    public Dictionary<ulong, byte[]> Replaced { get; } = [];

    /// <summary>Finds what can be left out.</summary>
    /// <param name="instructions">The function's instructions by their offsets.</param>
    /// <returns>Null where it saves nothing, or otherwise than RyuJIT does.</returns>
    public static MachineFrame? Read(SortedDictionary<ulong, Instruction> instructions)
    {
        var frame = new MachineFrame([.. instructions.Values]);
        return frame.TryRead() ? frame : null;
    }

    private bool TryRead()
    {
        var saved = new List<Register>();
        int at = 0, room = 0;
        for (; at < MostPushes && _code[at].Code == Code.Push_r64 && IsSaved(_code[at].Op0Register); at++)
        {
            saved.Add(_code[at].Op0Register);
        }

        if (saved.Count == 0)
        {
            return false;
        }

        // For eight bytes a push is shorter.
        if (_code[at] is { Code: Code.Push_r64, Op0Register: Register.RAX })
        {
            room = PushBytes;
            at++;
        }
        else if (IsStep(_code[at], Mnemonic.Sub))
        {
            room = (int)_code[at].GetImmediate(1);
            at++;
        }

        if (!TryReplace(0, at, 5, (saved.Count * PushBytes) + room))
        {
            return false;
        }

        for (int i = at; i < _code.Count; i++)
        {
            if (_code[i].FlowControl is FlowControl.Return or FlowControl.IndirectBranch && !TryReadEnd(i, saved, room))
            {
                return false;
            }
        }

        return _code.TrueForAll(i => _known.Contains(i.IP) || !MovesStack(i));
    }

    /// <summary>The end before a return or a jump out of the function: ADD of the room, and POPs in the other order.</summary>
    private bool TryReadEnd(int leaving, List<Register> saved, int room)
    {
        int first = leaving - saved.Count;
        for (int i = 0; i < saved.Count; i++)
        {
            if (first < 0 || _code[leaving - 1 - i].Code != Code.Pop_r64 || _code[leaving - 1 - i].Op0Register != saved[i])
            {
                return false;
            }
        }

        if (room != 0 && (--first < 0 || !IsStep(_code[first], Mnemonic.Add) || (int)_code[first].GetImmediate(1) != room))
        {
            return false;
        }

        _known.Add(_code[leaving].IP);
        return _code[leaving].IP == _code[leaving - 1].NextIP && !_jumpedTo.Contains(_code[leaving].IP) && TryReplace(first, leaving - first, 0, (saved.Count * PushBytes) + room);
    }

    /// <summary>Puts one step of RSP in the place of instructions in a row.</summary>
    /// <param name="first">The first of them.</param>
    /// <param name="count">How many.</param>
    /// <param name="operation">5: down; 0: up.</param>
    /// <param name="bytes">How far.</param>
    private bool TryReplace(int first, int count, int operation, int bytes)
    {
        for (int i = first; i < first + count; i++)
        {
            // Nobody comes in the middle.
            if (i > first && (_code[i].IP != _code[i - 1].NextIP || _jumpedTo.Contains(_code[i].IP)))
            {
                return false;
            }

            _known.Add(_code[i].IP);
            Replaced[_code[i].IP] = [];
        }

        // SUB or ADD RSP, imm8 or imm32: REX.W 83 or 81, with the operation in ModR/M.
        byte modRm = (byte)(0xC4 | (operation << 3));
        Replaced[_code[first].IP] = bytes <= sbyte.MaxValue ? [0x48, 0x83, modRm, (byte)bytes] : [0x48, 0x81, modRm, .. BitConverter.GetBytes(bytes)];
        return true;
    }

    private static bool IsSaved(Register register) => register is Register.RBP or Register.RBX or Register.R12 or Register.R13 or Register.R14 or Register.R15;

    private static bool IsStep(in Instruction i, Mnemonic mnemonic) => i.Mnemonic == mnemonic && i.Op0Kind == OpKind.Register && i.Op0Register == Register.RSP && i.Op1Kind != OpKind.Register && i.Op1Kind != OpKind.Memory;

    private static bool MovesStack(in Instruction i) => i.FlowControl is not (FlowControl.Call or FlowControl.IndirectCall)
        && (i.IsStackInstruction || (i.OpCount > 0 && i.Op0Kind == OpKind.Register && i.Op0Register is Register.RSP or Register.ESP or Register.SP && i.Mnemonic is not (Mnemonic.Cmp or Mnemonic.Test)));
}
