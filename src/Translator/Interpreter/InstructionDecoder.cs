using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Interpretation;

/// <summary>Turns code bytes into Iced's instructions, and those into <see cref="DecodedInstruction"/>.</summary>
internal sealed unsafe class InstructionDecoder
{
    private readonly PageCodeReader _reader = new();
    private readonly Decoder _decoder16;
    private readonly Decoder _decoder32;

    public InstructionDecoder()
    {
        _decoder16 = Decoder.Create(16, _reader);
        _decoder32 = Decoder.Create(32, _reader);
    }

    /// <summary>The bytes of the last instruction read.</summary>
    public ReadOnlySpan<byte> Bytes => _reader.Bytes;

    /// <summary>Reads one instruction.</summary>
    /// <returns>What the decoder found wrong; <see cref="DecoderError.NoMoreBytes"/> where it goes on behind <paramref name="end"/>.</returns>
    public DecoderError Read(byte* start, byte* end, uint eip, bool code32, out Instruction instruction)
    {
        _reader.Start(start, end);
        Decoder decoder = code32 ? _decoder32 : _decoder16;
        decoder.IP = eip;
        decoder.Decode(out instruction);
        return decoder.LastError;
    }

    /// <summary>Compacts an instruction. The handler is that of its row; kept instructions and thunks are the caller's.</summary>
    public static DecodedInstruction Compact(in Instruction instruction, InstructionRow row, CpuMode mode)
    {
        var d = new DecodedInstruction
        {
            Handler = row.Execute,
            NextEip = instruction.NextIP32,
            Length = (byte)instruction.Length,
            Base = DecodedInstruction.NoRegister,
            Index = DecodedInstruction.NoRegister,
            Segment = (SegmentIndex8)SegmentIndex.Ds,
        };
        if ((row.Traits & RowTraits.SetsEip) != 0)
        {
            d.Flags |= DecodedFlags.SetsEip;
        }

        AddPrefixes(ref d, instruction);
        for (int i = 0; i < instruction.OpCount && i < 3; i++)
        {
            AddOperand(ref d, instruction, i);
        }

        AddSizes(ref d, instruction);
        if (OperandSizes.CountsInCx(instruction.Code))
        {
            d.Flags |= DecodedFlags.Address16;
        }

        d.Condition = (byte)ConditionNumber(instruction.ConditionCode);
        AddMode(ref d, mode);
        return d;
    }

    /// <summary>The number of a general register as a byte offset into the state's registers: 4 a register, AH to BH at 1 to 13.</summary>
    public static int RegisterOffset(Register register) => register switch
    {
        >= Register.AL and <= Register.BL => (register - Register.AL) * 4,
        >= Register.AH and <= Register.BH => ((register - Register.AH) * 4) + 1,
        >= Register.AX and <= Register.DI => (register - Register.AX) * 4,
        >= Register.EAX and <= Register.EDI => (register - Register.EAX) * 4,
        _ => -1,
    };

    private static void AddPrefixes(ref DecodedInstruction d, in Instruction instruction)
    {
        if (instruction.HasRepPrefix)
        {
            d.Flags |= DecodedFlags.Rep;
        }

        if (instruction.HasRepnePrefix)
        {
            d.Flags |= DecodedFlags.Repne;
        }

        if (instruction.HasLockPrefix)
        {
            d.Flags |= DecodedFlags.Lock;
        }
    }

    private static void AddOperand(ref DecodedInstruction d, in Instruction instruction, int index)
    {
        OperandKind kind = OperandKind.None;
        int register = 0;
        switch (instruction.GetOpKind(index))
        {
            case OpKind.Register:
                Register named = instruction.GetOpRegister(index);
                register = RegisterOffset(named);
                kind = OperandKind.Register;
                if (register < 0)
                {
                    register = OtherNumber(named);
                    kind = OperandKind.Other;
                }

                break;

            case OpKind.NearBranch16 or OpKind.NearBranch32:
                kind = OperandKind.Immediate;
                d.Immediate = (uint)instruction.NearBranchTarget;
                d.Size = (byte)(instruction.GetOpKind(index) == OpKind.NearBranch16 ? 2 : 4);
                break;

            case OpKind.FarBranch16:
                kind = OperandKind.Immediate;
                (d.Immediate, d.Extra, d.Size) = (instruction.FarBranch16, instruction.FarBranchSelector, 2);
                break;

            case OpKind.FarBranch32:
                kind = OperandKind.Immediate;
                (d.Immediate, d.Extra, d.Size) = (instruction.FarBranch32, instruction.FarBranchSelector, 4);
                break;

            case OpKind.Immediate8_2nd:
                d.Extra = instruction.Immediate8_2nd;
                break;

            case OpKind.Memory:
                kind = OperandKind.Memory;
                AddMemory(ref d, instruction);
                break;

            case OpKind.MemorySegSI or OpKind.MemorySegDI:
                kind = OperandKind.Memory;
                d.Flags |= DecodedFlags.Address16;
                d.Segment = SegmentOf(instruction.MemorySegment);
                break;

            case OpKind.MemorySegESI or OpKind.MemorySegEDI:
                kind = OperandKind.Memory;
                d.Segment = SegmentOf(instruction.MemorySegment);
                break;

            case OpKind.MemoryESDI:
                kind = OperandKind.Memory;
                d.Flags |= DecodedFlags.Address16;
                break;

            case OpKind.MemoryESEDI:
                kind = OperandKind.Memory;
                break;

            default:
                kind = OperandKind.Immediate;
                d.Immediate = (uint)instruction.GetImmediate(index);
                break;
        }

        switch (index)
        {
            case 0:
                (d.Kind0, d.Register0) = (kind, (byte)register);
                break;
            case 1:
                (d.Kind1, d.Register1) = (kind, (byte)register);
                break;
            default:
                (d.Kind2, d.Register2) = (kind, (byte)register);
                break;
        }
    }

    private static void AddMemory(ref DecodedInstruction d, in Instruction instruction)
    {
        d.Displacement = instruction.MemoryDisplacement32;
        d.Segment = SegmentOf(instruction.MemorySegment);
        Register index = instruction.MemoryIndex;
        Register first = instruction.MemoryBase;
        if (first != Register.None)
        {
            d.Base = (byte)(RegisterOffset(first) >> 2);
        }

        // XLAT names AL as its index; its routine adds it.
        if (index != Register.None && index != Register.AL)
        {
            d.Index = (byte)(RegisterOffset(index) >> 2);
            d.Scale = (byte)System.Numerics.BitOperations.Log2((uint)instruction.MemoryIndexScale);
        }

        if (first is >= Register.AX and <= Register.DI || index is >= Register.AX and <= Register.DI
            || (first == Register.None && index == Register.None && instruction.MemoryDisplSize == 2))
        {
            d.Flags |= DecodedFlags.Address16;
        }
    }

    private static void AddSizes(ref DecodedInstruction d, in Instruction instruction)
    {
        int implied = OperandSizes.Implied(instruction.Code);
        if (implied != 0)
        {
            d.Size = (byte)implied;
        }
        else if (d.Size == 0)
        {
            d.Size = (byte)OperandSizes.OfOperand(instruction, 0);
        }

        d.SourceSize = (byte)OperandSizes.OfOperand(instruction, 1);
        if (d.Kind1 == OperandKind.Immediate && d.Size < 4)
        {
            d.Immediate &= (1u << (d.Size * 8)) - 1;
        }

        if (d.Kind0 == OperandKind.Memory && d.Kind1 == OperandKind.Register && instruction.Mnemonic == Mnemonic.Xchg)
        {
            d.Flags |= DecodedFlags.Lock;
        }
    }

    private static void AddMode(ref DecodedInstruction d, CpuMode mode)
    {
        if ((mode & CpuMode.Stack32) == 0)
        {
            d.Flags |= DecodedFlags.Stack16;
        }

        if ((mode & (CpuMode.Flat | CpuMode.Watched)) == CpuMode.Flat)
        {
            if ((SegmentIndex)d.Segment is SegmentIndex.Ds or SegmentIndex.Es or SegmentIndex.Ss)
            {
                d.Flags |= DecodedFlags.FlatSegment;
            }

            if ((mode & CpuMode.Stack32) != 0)
            {
                d.Flags |= DecodedFlags.FlatStack;
            }
        }

        bool hasBase = (SegmentIndex)d.Segment switch
        {
            SegmentIndex.Fs => (mode & (CpuMode.FsSimple | CpuMode.Watched)) == CpuMode.FsSimple,
            SegmentIndex.Gs => (mode & (CpuMode.GsSimple | CpuMode.Watched)) == CpuMode.GsSimple,
            _ => false,
        };
        if ((d.Flags & DecodedFlags.Address16) == 0 && (hasBase || (d.Flags & DecodedFlags.FlatSegment) != 0))
        {
            d.Flags |= DecodedFlags.Direct;
            if (hasBase || d.Index != DecodedInstruction.NoRegister)
            {
                d.Flags |= DecodedFlags.FullAddress;
            }
        }
    }

    private static SegmentIndex8 SegmentOf(Register register) => register switch
    {
        Register.ES => SegmentIndex8.Es,
        Register.CS => SegmentIndex8.Cs,
        Register.SS => SegmentIndex8.Ss,
        Register.FS => SegmentIndex8.Fs,
        Register.GS => SegmentIndex8.Gs,
        _ => SegmentIndex8.Ds,
    };

    private static int OtherNumber(Register register) =>
        register.IsSegmentRegister() ? (int)SegmentOf(register)
        : register.IsCR() ? register - Register.CR0
        : register.IsDR() ? register - Register.DR0
        : register.IsMM() ? register - Register.MM0
        : register.IsXMM() ? register - Register.XMM0
        : register.IsST() ? register - Register.ST0
        : 0;

    // Iced numbers the conditions O, NO, B, AE, E, NE, BE, A, S, NS, P, NP, L, GE, LE, G from 1.
    private static int ConditionNumber(ConditionCode code) => code switch
    {
        ConditionCode.None => 0,
        ConditionCode.o => 0,
        ConditionCode.no => 1,
        ConditionCode.b => 2,
        ConditionCode.ae => 3,
        ConditionCode.e => 4,
        ConditionCode.ne => 5,
        ConditionCode.be => 6,
        ConditionCode.a => 7,
        ConditionCode.s => 8,
        ConditionCode.ns => 9,
        ConditionCode.p => 10,
        ConditionCode.np => 11,
        ConditionCode.l => 12,
        ConditionCode.ge => 13,
        ConditionCode.le => 14,
        ConditionCode.g => 15,
        _ => 0,
    };
}
