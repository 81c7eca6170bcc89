using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// Leaves out moves from register to register that RyuJIT's code does without. It makes one for most conversions between 32 and 64 bits, of which the guest's registers need one whenever they are read or written. What such a
/// move copies is either read where it comes from (<see cref="TryReadSource"/>), or made where it goes to in the first place (<see cref="TryMakeInPlace"/>).
/// <para>
/// Both are decided within a <em>trace</em>: instructions of which only the first can be got to otherwise than from the one before. What a branch out of it needs stays as it was there, and so does what the exit of an access by the
/// address window needs, up to that access (<see cref="WindowMark"/>).
/// </para>
/// </summary>
internal sealed class MachineMoves
{
    private const int MostRounds = 3;
    private readonly MachineTraces _traces;
    private readonly OperandRenamer _renamer = new();
    private readonly List<(int At, Instruction Changed)> _changes = [];

    private MachineMoves(MachineTraces traces) => _traces = traces;

    /// <summary>Changes a function.</summary>
    /// <param name="code">Its instructions by their offsets. One that is left out becomes a NOP.</param>
    /// <returns>What stands in the place of those that were changed; nothing where one is left out.</returns>
    public static Dictionary<ulong, byte[]> Remove(SortedDictionary<ulong, Instruction> code)
    {
        var traces = new MachineTraces(code);
        var moves = new MachineMoves(traces);
        foreach ((int first, int end) in traces.All)
        {
            for (int round = 0; round < MostRounds && moves.TryImprove(first, end); round++)
            {
            }
        }

        var replaced = new Dictionary<ulong, byte[]>();
        foreach (int at in traces.Changed)
        {
            Instruction instruction = traces.Code[at];
            code[instruction.IP] = instruction;
            replaced[instruction.IP] = instruction.Mnemonic == Mnemonic.Nop ? [] : moves._renamer.Encode(instruction)!;
        }

        return replaced;
    }

    private bool TryImprove(int first, int end)
    {
        bool any = false;
        for (int at = first; at < end; at++)
        {
            Instruction move = _traces.Code[at];
            if (!IsMove(first, at, move))
            {
                continue;
            }

            Register to = move.Op0Register.GetFullRegister(), from = move.Op1Register.GetFullRegister();
            bool wide = move.Op0Register.IsGPR64() || _traces.IsZeroExtended(first, at, from);
            if (((MachineRegisters.Bit(to) | MachineRegisters.Bit(from)) & MachineRegisters.Frame) != 0)
            {
                continue;
            }

            if (to == from ? wide : TryReadSource(at, end, to, from, wide) || (wide && TryMakeInPlace(first, at, end, to, from)))
            {
                _traces.Erase(at);
                any = true;
            }
        }

        return any;
    }

    /// <summary>Whether an instruction copies a register, and does no more: it may extend what is extended already.</summary>
    private bool IsMove(int first, int at, in Instruction i) => i.OpCount == 2 && i.Op0Kind == OpKind.Register && i.Op1Kind == OpKind.Register && i.Code switch
    {
        Code.Mov_r64_rm64 or Code.Mov_rm64_r64 or Code.Mov_r32_rm32 or Code.Mov_rm32_r32 => true,
        Code.Movzx_r32_rm8 => _traces.IsBelow(first, at, i.Op1Register, byte.MaxValue),
        Code.Movzx_r32_rm16 => _traces.IsBelow(first, at, i.Op1Register, ushort.MaxValue),
        _ => false,
    };

    /// <summary>Has all that reads the copy read what it was copied from.</summary>
    private bool TryReadSource(int move, int end, Register to, Register from, bool wide)
    {
        _changes.Clear();
        return TryReplaceAfter(move, end, to, from, wide) && Apply();
    }

    /// <summary>Has what is copied be where it is copied to from the beginning, so that it is nowhere else.</summary>
    private bool TryMakeInPlace(int first, int move, int end, Register to, Register from)
    {
        uint target = MachineRegisters.Bit(to), source = MachineRegisters.Bit(from);
        _changes.Clear();
        for (int at = move - 1; at >= first; at--)
        {
            RegisterEffect effect = _traces.Effects[at];
            bool made = (effect.Written & source) != 0 && _renamer.Defines(_traces.Code[at], from);

            // An access that faults hasn't written its register.
            if ((_traces.NeededAway[at] & (target | source)) != 0 && !made)
            {
                return false;
            }

            if ((effect.Written & target) != 0 || ((effect.Read & target) != 0 && !made))
            {
                return false;
            }

            if (((effect.Read | effect.Written) & source) != 0 && !TryRename(at, made ? _renamer.RenameWritten(_traces.Code[at], from, to) : _renamer.RenameAll(_traces.Code[at], from, to)))
            {
                return false;
            }

            if (made)
            {
                return TryReplaceAfter(move, end, from, to, wide: true) && Apply();
            }
        }

        return false;
    }

    /// <summary>Has all that reads a register behind a place read another one, which holds the same there.</summary>
    /// <param name="place">The place.</param>
    /// <param name="end">The end of the trace.</param>
    /// <param name="old">The register that isn't to be read any more.</param>
    /// <param name="other">What is read instead.</param>
    /// <param name="wide">Whether all 64 bits are the same, not only the lower ones.</param>
    private bool TryReplaceAfter(int place, int end, Register old, Register other, bool wide)
    {
        uint bit = MachineRegisters.Bit(old), same = MachineRegisters.Bit(other);
        bool changed = false;
        for (int at = place + 1; at < end; at++)
        {
            RegisterEffect effect = _traces.Effects[at];
            if ((effect.Read & bit) != 0 && (changed || !TryRename(at, _renamer.RenameRead(_traces.Code[at], old, other, wide))))
            {
                return false;
            }

            if ((_traces.NeededAway[at] & bit) != 0)
            {
                return false;
            }

            if ((effect.Written & bit) != 0)
            {
                return true;
            }

            changed |= (effect.Written & same) != 0;
        }

        return (_traces.LiveAfter(end - 1) & bit) == 0;
    }

    private bool TryRename(int at, Instruction? renamed)
    {
        if (renamed is not { } instruction)
        {
            return false;
        }

        _changes.Add((at, instruction));
        return true;
    }

    private bool Apply()
    {
        foreach ((int at, Instruction changed) in _changes)
        {
            _traces.Change(at, changed);
        }

        return true;
    }
}
