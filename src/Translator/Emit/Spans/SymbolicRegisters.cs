using Iced.Intel;

namespace Dbt.Translator.Emit.Spans;

/// <summary>The symbolic values of the eight general registers at one place of the code.</summary>
internal sealed class SymbolicRegisters
{
    private const int Esp = 4, Ebp = 5;

    [ThreadStatic]
    private static InstructionInfoFactory? s_factory;

    private readonly SymbolicValue[] _values = new SymbolicValue[8];

    /// <summary>The value of a register.</summary>
    public SymbolicValue this[int register]
    {
        get => _values[register];
        set => _values[register] = value;
    }

    /// <summary>Takes over all values.</summary>
    public void CopyFrom(SymbolicRegisters other) => other._values.CopyTo(_values, 0);

    /// <summary>Goes over an instruction.</summary>
    public void Step(in Instruction i)
    {
        uint eip = i.IP32;
        switch (i.Mnemonic)
        {
            case Mnemonic.Mov when IsRegister32(i) && i.Op1Kind == OpKind.Register && i.Op1Register.IsGPR32():
                _values[Number(i.Op0Register)] = _values[Number(i.Op1Register)];
                return;
            case Mnemonic.Lea when i.Op0Register.IsGPR32() && i.MemoryBase.IsGPR32() && i.MemoryIndex == Register.None:
                _values[Number(i.Op0Register)] = _values[Number(i.MemoryBase)].Add((int)i.MemoryDisplacement32);
                return;
            case Mnemonic.Add or Mnemonic.Sub when IsRegister32(i) && InstructionEmitter.IsImmediate(i, 1):
                int step = (int)(uint)i.GetImmediate(1);
                Move(i, i.Mnemonic == Mnemonic.Add ? step : -step);
                return;
            case Mnemonic.Inc or Mnemonic.Dec when IsRegister32(i):
                Move(i, i.Mnemonic == Mnemonic.Inc ? 1 : -1);
                return;
            case Mnemonic.Push or Mnemonic.Call or Mnemonic.Pushfd when i.StackPointerIncrement == -4:
                _values[Esp] = _values[Esp].Add(-4);
                return;
            case Mnemonic.Popfd when i.StackPointerIncrement == 4:
            case Mnemonic.Pop when i.StackPointerIncrement == 4 && i.Op0Kind == OpKind.Memory:
                _values[Esp] = _values[Esp].Add(4);
                return;
            case Mnemonic.Pop when i.StackPointerIncrement == 4 && IsRegister32(i) && i.Op0Register != Register.ESP:
                _values[Esp] = _values[Esp].Add(4);
                _values[Number(i.Op0Register)] = SymbolicValue.Of(eip, Number(i.Op0Register));
                return;
            case Mnemonic.Leave when i.Code == Code.Leaved:
                _values[Esp] = _values[Ebp].Add(4);
                _values[Ebp] = SymbolicValue.Of(eip, Ebp);
                return;
        }

        foreach (UsedRegister used in (s_factory ??= new InstructionInfoFactory()).GetInfo(i).GetUsedRegisters())
        {
            if (used.Register.IsGPR() && used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite)
            {
                int number = Number(used.Register);
                _values[number] = SymbolicValue.Of(eip, number);
            }
        }
    }

    private void Move(in Instruction i, int bytes)
    {
        int number = Number(i.Op0Register);
        _values[number] = _values[number].Add(bytes);
    }

    private static bool IsRegister32(in Instruction i) => i.Op0Kind == OpKind.Register && i.Op0Register.IsGPR32();

    private static int Number(Register register) => InstructionEmitter.NumberOf(register);
}
