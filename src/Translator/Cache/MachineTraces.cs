using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>A function's instructions with what is known of registers at each: what is still needed, and of which the upper half is zero.</summary>
internal sealed class MachineTraces
{
    private readonly MachineRegisters _registers = new();
    private readonly FlowControl[] _flow;
    private readonly int[] _targets;
    private readonly uint[] _live;
    private readonly bool[] _starts;
    private readonly uint[] _extended;
    private readonly List<(int First, int End)> _all = [];

    /// <summary>Finds them.</summary>
    /// <param name="code">The instructions by their offsets, the first one at 0.</param>
    public MachineTraces(SortedDictionary<ulong, Instruction> code)
    {
        Code = [.. code.Values];
        Effects = new RegisterEffect[Code.Length];
        NeededAway = new uint[Code.Length];
        _flow = new FlowControl[Code.Length];
        _targets = new int[Code.Length];
        _live = new uint[Code.Length + 1];
        _starts = new bool[Code.Length + 1];
        _extended = new uint[Code.Length];
        var places = new Dictionary<ulong, int>(Code.Length);
        for (int at = 0; at < Code.Length; at++)
        {
            places.Add(Code[at].IP, at);
            _flow[at] = Code[at].FlowControl;
            Effects[at] = _registers.Of(Code[at], at > 0 ? Code[at - 1] : default);
        }

        List<WindowMark> marks = [.. MarksOf(code)];
        FindStarts(places, marks);
        FindLive();
        FindNeeded(code, places, marks);
        FindExtended();
    }

    /// <summary>The instructions in their order.</summary>
    public Instruction[] Code { get; }

    /// <summary>What each does.</summary>
    public RegisterEffect[] Effects { get; }

    /// <summary>Registers that are needed where code may go on from there otherwise than with the next instruction.</summary>
    public uint[] NeededAway { get; }

    /// <summary>Places of the instructions that were changed.</summary>
    public HashSet<int> Changed { get; } = [];

    /// <summary>The traces: first instruction, and end.</summary>
    public IReadOnlyList<(int First, int End)> All => _all;

    /// <summary>Registers that are needed behind an instruction.</summary>
    public uint LiveAfter(int at) => _flow[at] switch
    {
        FlowControl.UnconditionalBranch => _live[_targets[at]],
        FlowControl.ConditionalBranch => _live[_targets[at]] | _live[at + 1],
        FlowControl.Return or FlowControl.IndirectBranch => 0,
        _ => _live[at + 1],
    };

    /// <summary>Whether the upper half of a register is zero before an instruction.</summary>
    /// <param name="first">Where its trace begins.</param>
    /// <param name="at">The instruction.</param>
    /// <param name="register">The register.</param>
    public bool IsZeroExtended(int first, int at, Register register)
    {
        uint bit = MachineRegisters.Bit(register);
        for (int before = at - 1; before >= first; before--)
        {
            if ((Effects[before].Written & bit) == 0)
            {
                continue;
            }

            return Code[before] is { Mnemonic: Mnemonic.Mov, Op1Kind: OpKind.Register, Op0Kind: OpKind.Register } move && move.Op0Register.IsGPR64()
                ? IsZeroExtended(first, before, move.Op1Register)
                : (ExtendedBy(before, 0) & bit) != 0 || (IsPartlyWritten(before, bit) && IsZeroExtended(first, before, register));
        }

        return (_extended[first] & bit) != 0;
    }

    /// <summary>Whether what a register holds before an instruction is certainly no larger than <paramref name="most"/>.</summary>
    /// <param name="first">Where its trace begins.</param>
    /// <param name="at">The instruction.</param>
    /// <param name="register">The register, of any width but for the second bytes.</param>
    /// <param name="most">255 or 65,535.</param>
    public bool IsBelow(int first, int at, Register register, uint most)
    {
        uint bit = register is Register.AH or Register.CH or Register.DH or Register.BH ? 0 : MachineRegisters.Bit(register);
        for (int before = at - 1; before >= first && bit != 0; before--)
        {
            if ((Effects[before].Written & bit) == 0)
            {
                continue;
            }

            ref readonly Instruction i = ref Code[before];
            return i.OpCount == 2 && i.Op0Kind == OpKind.Register && MachineRegisters.Bit(i.Op0Register) == Effects[before].Written && i.Code switch
            {
                Iced.Intel.Code.Movzx_r32_rm8 => true,
                Iced.Intel.Code.Movzx_r32_rm16 => most >= ushort.MaxValue,
                Iced.Intel.Code.And_rm32_imm32 or Iced.Intel.Code.And_EAX_imm32 => i.Immediate32 <= most,
                Iced.Intel.Code.Mov_r32_rm32 or Iced.Intel.Code.Mov_rm32_r32 or Iced.Intel.Code.Mov_r64_rm64 or Iced.Intel.Code.Mov_rm64_r64 =>
                    i.Op1Kind == OpKind.Register && IsBelow(first, before, i.Op1Register, most),
                _ => false,
            };
        }

        return false;
    }

    /// <summary>Puts an instruction in another's place.</summary>
    public void Change(int at, in Instruction instruction)
    {
        Code[at] = instruction;
        Effects[at] = _registers.Of(instruction, at > 0 ? Code[at - 1] : default);
        Changed.Add(at);
    }

    /// <summary>Puts a NOP in an instruction's place, which takes no room.</summary>
    public void Erase(int at)
    {
        Instruction nothing = Instruction.Create(Iced.Intel.Code.Nopd);

        // In this order: what an instruction holds is where the next one is.
        nothing.Length = Code[at].Length;
        nothing.IP = Code[at].IP;
        Change(at, nothing);
    }

    private static IEnumerable<WindowMark> MarksOf(SortedDictionary<ulong, Instruction> code)
    {
        foreach (Instruction instruction in code.Values)
        {
            if (WindowMark.IsRead(instruction) && WindowMark.TryFind(code, instruction, out _, out WindowMark mark))
            {
                yield return mark;
            }
        }
    }

    private void FindStarts(Dictionary<ulong, int> places, List<WindowMark> marks)
    {
        _starts[0] = true;
        foreach (WindowMark mark in marks)
        {
            // The access gets there too, and not only what stands before it.
            _starts[places[mark.Exit]] = true;
        }

        for (int at = 0; at < Code.Length; at++)
        {
            if (_flow[at] is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
            {
                _targets[at] = places[Code[at].NearBranchTarget];
                _starts[_targets[at]] = true;
            }

            if (_flow[at] is FlowControl.UnconditionalBranch or FlowControl.Return or FlowControl.IndirectBranch)
            {
                _starts[at + 1] = true;
            }
        }

        for (int first = 0, at = 1; at <= Code.Length; at++)
        {
            if (_starts[at] || at == Code.Length)
            {
                _all.Add((first, at));
                first = at;
            }
        }
    }

    private void FindLive()
    {
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int at = Code.Length - 1; at >= 0; at--)
            {
                uint live = (LiveAfter(at) & ~Effects[at].Written) | Effects[at].Read;
                changed |= live != _live[at];
                _live[at] = live;
            }
        }
    }

    private void FindNeeded(SortedDictionary<ulong, Instruction> code, Dictionary<ulong, int> places, List<WindowMark> marks)
    {
        var exits = new ExitRegisters(code);
        for (int at = 0; at < Code.Length; at++)
        {
            if (_flow[at] == FlowControl.ConditionalBranch)
            {
                NeededAway[at] |= _live[_targets[at]];
            }
        }

        foreach (WindowMark mark in marks)
        {
            // The access itself is what leaves.
            uint needed = _live[places[mark.Exit]];
            int end = Math.Min(Code.Length, places[mark.Next] + WindowMark.MostBetween + 1);
            for (int between = places[mark.Next]; between < end; between++)
            {
                NeededAway[between] |= needed;
                if (exits.IsAccess(Code[between]))
                {
                    break;
                }
            }
        }
    }

    private void FindExtended()
    {
        // What may be known at most, and less with each way that leads there.
        Array.Fill(_extended, uint.MaxValue);
        _extended[0] = 0;
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach ((int first, int end) in _all)
            {
                uint extended = _extended[first];
                for (int at = first; at < end; at++)
                {
                    extended = ExtendedBy(at, extended);
                    if (_flow[at] is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
                    {
                        changed |= Meet(_targets[at], extended);
                    }
                }

                if (end < Code.Length && _flow[end - 1] is not (FlowControl.UnconditionalBranch or FlowControl.Return or FlowControl.IndirectBranch))
                {
                    changed |= Meet(end, extended);
                }
            }
        }

        bool Meet(int first, uint extended)
        {
            uint before = _extended[first];
            return (_extended[first] = before & extended) != before;
        }
    }

    /// <summary>Registers whose upper half is zero behind an instruction, by those of which it is before.</summary>
    private uint ExtendedBy(int at, uint extended)
    {
        uint written = Effects[at].Written;
        if (written == 0)
        {
            return extended;
        }

        ref readonly Instruction i = ref Code[at];
        if (i.OpCount == 0 || i.Op0Kind != OpKind.Register || !i.Op0Register.IsGPR() || written != MachineRegisters.Bit(i.Op0Register))
        {
            return extended & ~written;
        }

        if (i.Op0Register.IsGPR32())
        {
            return extended | written;
        }

        if (!i.Op0Register.IsGPR64())
        {
            return extended;
        }

        bool zero = i.Mnemonic switch
        {
            Mnemonic.Mov when i.Op1Kind == OpKind.Register => (extended & MachineRegisters.Bit(i.Op1Register)) != 0,
            Mnemonic.Shr when i.Op1Kind == OpKind.Immediate8 => i.Immediate8 is >= 32 and < 64,
            _ => false,
        };
        return zero ? extended | written : extended & ~written;
    }

    private bool IsPartlyWritten(int at, uint bit) => Code[at] is { OpCount: > 0, Op0Kind: OpKind.Register } i && i.Op0Register.IsGPR() && MachineRegisters.Bit(i.Op0Register) == bit
        && Effects[at].Written == bit && !i.Op0Register.IsGPR32() && !i.Op0Register.IsGPR64();
}
