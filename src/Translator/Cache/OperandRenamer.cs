using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>Gives an instruction other registers, where it can have them.</summary>
internal sealed class OperandRenamer
{
    private static readonly Register[] s_bytes =
    [
        Register.AL, Register.CL, Register.DL, Register.BL, Register.SPL, Register.BPL, Register.SIL, Register.DIL,
        Register.R8L, Register.R9L, Register.R10L, Register.R11L, Register.R12L, Register.R13L, Register.R14L, Register.R15L,
    ];

    private readonly InstructionInfoFactory _factory = new();
    private readonly Bytes _bytes = new();
    private readonly Encoder _encoder;

    public OperandRenamer() => _encoder = Encoder.Create(64, _bytes);

    /// <summary>The bytes of an instruction; null where there is none such.</summary>
    public byte[]? Encode(in Instruction instruction)
    {
        _bytes.Written.Clear();
        return _encoder.TryEncode(instruction, instruction.IP, out _, out _) ? [.. _bytes.Written] : null;
    }

    /// <summary>Whether an instruction's one written operand is a register of 32 or 64 bits, which it puts something new in without reading it.</summary>
    public bool Defines(in Instruction i, Register register)
    {
        if (i.OpCount == 0 || i.Op0Kind != OpKind.Register || i.Op0Register.GetFullRegister() != register || !(i.Op0Register.IsGPR32() || i.Op0Register.IsGPR64()))
        {
            return false;
        }

        InstructionInfo info = _factory.GetInfo(i, InstructionInfoOptions.NoMemoryUsage);
        return info.Op0Access == OpAccess.Write && !Reads(i, register) && Explicit(info, register, reads: false, writes: true);
    }

    /// <summary>All uses of a register renamed; null where that can't be.</summary>
    public Instruction? RenameAll(in Instruction instruction, Register from, Register to)
    {
        InstructionInfo info = _factory.GetInfo(instruction, InstructionInfoOptions.NoMemoryUsage);
        Instruction renamed = instruction;
        bool reads = false, writes = false;
        for (int operand = 0; operand < instruction.OpCount; operand++)
        {
            if (IsRegister(instruction, operand, from))
            {
                OpAccess access = info.GetOpAccess(operand);
                reads |= access != OpAccess.Write || IsPart(instruction.GetOpRegister(operand));
                writes |= access is not OpAccess.Read and not OpAccess.CondRead;
                renamed.SetOpRegister(operand, SameWidth(instruction.GetOpRegister(operand), to));
            }
        }

        reads |= RenameAddress(ref renamed, from, to);
        return Explicit(info, from, reads, writes) ? Checked(renamed, from, mayWrite: false) : null;
    }

    /// <summary>What is written renamed (<see cref="Defines"/>), and nothing else.</summary>
    public Instruction? RenameWritten(in Instruction instruction, Register from, Register to)
    {
        Instruction renamed = instruction;
        renamed.SetOpRegister(0, SameWidth(instruction.Op0Register, to));
        return from == to ? null : Checked(renamed, from, mayWrite: false);
    }

    /// <summary>A register that is only read renamed; null where it isn't only read, or can't be another.</summary>
    /// <param name="instruction">The instruction. It may write that register as a whole, behind what it reads.</param>
    /// <param name="from">The register.</param>
    /// <param name="to">The other one.</param>
    /// <param name="wide">Whether that has the same upper half.</param>
    public Instruction? RenameRead(in Instruction instruction, Register from, Register to, bool wide)
    {
        InstructionInfo info = _factory.GetInfo(instruction, InstructionInfoOptions.NoMemoryUsage);
        Instruction renamed = instruction;
        bool reads = false, writes = false;
        for (int operand = 0; operand < instruction.OpCount; operand++)
        {
            if (!IsRegister(instruction, operand, from))
            {
                continue;
            }

            Register register = instruction.GetOpRegister(operand);
            switch (info.GetOpAccess(operand))
            {
                case OpAccess.Read when wide || !register.IsGPR64():
                    reads = true;
                    renamed.SetOpRegister(operand, SameWidth(register, to));
                    break;
                case OpAccess.Write when !IsPart(register):
                    writes = true;
                    break;
                default:
                    return null;
            }
        }

        if (RenameAddress(ref renamed, from, to))
        {
            reads = true;
            if (!wide)
            {
                return null;
            }
        }

        return Explicit(info, from, reads, writes) ? Checked(renamed, from, mayWrite: true) : null;
    }

    private static bool RenameAddress(ref Instruction renamed, Register from, Register to)
    {
        bool any = false;
        for (int operand = 0; operand < renamed.OpCount; operand++)
        {
            if (renamed.GetOpKind(operand) != OpKind.Memory)
            {
                continue;
            }

            if (renamed.MemoryBase == from)
            {
                renamed.MemoryBase = to;
                any = true;
            }

            if (renamed.MemoryIndex == from)
            {
                renamed.MemoryIndex = to;
                any = true;
            }
        }

        return any;
    }

    private static bool Reads(in Instruction i, Register register)
    {
        for (int operand = 1; operand < i.OpCount; operand++)
        {
            if (IsRegister(i, operand, register) || (i.GetOpKind(operand) == OpKind.Memory && (i.MemoryBase == register || i.MemoryIndex == register)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether an instruction does no more with a register than its operands say.</summary>
    private static bool Explicit(in InstructionInfo info, Register register, bool reads, bool writes)
    {
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            if (used.Register.IsGPR() && used.Register.GetFullRegister() == register && !(used.Access switch
            {
                OpAccess.Read or OpAccess.CondRead => reads,
                OpAccess.Write => writes,
                OpAccess.ReadWrite => reads && writes,
                _ => false,
            }))
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsRegister(in Instruction i, int operand, Register register) =>
        i.GetOpKind(operand) == OpKind.Register && i.GetOpRegister(operand).IsGPR() && i.GetOpRegister(operand).GetFullRegister() == register;

    private static bool IsPart(Register register) => !register.IsGPR32() && !register.IsGPR64();

    private static Register SameWidth(Register model, Register register)
    {
        int number = register - Register.RAX;
        return model.IsGPR64() ? register
            : model.IsGPR32() ? Register.EAX + number
            : model.IsGPR16() ? Register.AX + number
            : model is Register.AH or Register.CH or Register.DH or Register.BH ? Register.None
            : s_bytes[number];
    }

    /// <summary>The instruction, if it can be written so, nothing else refers to its bytes, and it has no use for the old register any more that no operand tells of.</summary>
    /// <param name="renamed">The instruction.</param>
    /// <param name="old">The register that it had.</param>
    /// <param name="mayWrite">Whether it may write that still.</param>
    private Instruction? Checked(Instruction renamed, Register old, bool mayWrite)
    {
        if (renamed.FlowControl != FlowControl.Next || renamed.IsIPRelativeMemoryOperand || renamed.IsStackInstruction)
        {
            return null;
        }

        foreach (UsedRegister used in _factory.GetInfo(renamed, InstructionInfoOptions.NoMemoryUsage).GetUsedRegisters())
        {
            if (used.Register.IsGPR() && used.Register.GetFullRegister() == old && !(mayWrite && used.Access == OpAccess.Write))
            {
                return null;
            }
        }

        renamed.Code = WithoutFixedRegister(renamed.Code);
        return Encode(renamed) is null ? null : renamed;
    }

    // Shorter forms that only RAX has.
    private static Code WithoutFixedRegister(Code code) => code switch
    {
        Code.Add_EAX_imm32 => Code.Add_rm32_imm32,
        Code.Or_EAX_imm32 => Code.Or_rm32_imm32,
        Code.Adc_EAX_imm32 => Code.Adc_rm32_imm32,
        Code.Sbb_EAX_imm32 => Code.Sbb_rm32_imm32,
        Code.And_EAX_imm32 => Code.And_rm32_imm32,
        Code.Sub_EAX_imm32 => Code.Sub_rm32_imm32,
        Code.Xor_EAX_imm32 => Code.Xor_rm32_imm32,
        Code.Cmp_EAX_imm32 => Code.Cmp_rm32_imm32,
        Code.Test_EAX_imm32 => Code.Test_rm32_imm32,
        Code.Add_RAX_imm32 => Code.Add_rm64_imm32,
        Code.And_RAX_imm32 => Code.And_rm64_imm32,
        Code.Sub_RAX_imm32 => Code.Sub_rm64_imm32,
        Code.Cmp_RAX_imm32 => Code.Cmp_rm64_imm32,
        Code.Cmp_AL_imm8 => Code.Cmp_rm8_imm8,
        Code.Test_AL_imm8 => Code.Test_rm8_imm8,
        Code.And_AL_imm8 => Code.And_rm8_imm8,
        _ => code,
    };

    private sealed class Bytes : CodeWriter
    {
        public List<byte> Written { get; } = [];

        public override void WriteByte(byte value) => Written.Add(value);
    }
}
