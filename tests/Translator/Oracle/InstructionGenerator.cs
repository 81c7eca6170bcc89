using Iced.Intel;
using static Dbt.Tests.Translator.Oracle.OracleLayout;
using Encoder = Iced.Intel.Encoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Draws operands for an encoding and assembles it.</summary>
internal sealed class InstructionGenerator(Random random)
{
    private static readonly Register[] Registers8 = [Register.AL, Register.CL, Register.DL, Register.BL, Register.AH, Register.CH, Register.DH, Register.BH];
    private static readonly Register[] Registers16 = [Register.AX, Register.CX, Register.DX, Register.BX, Register.SP, Register.BP, Register.SI, Register.DI];
    private static readonly Register[] Registers32 = [Register.EAX, Register.ECX, Register.EDX, Register.EBX, Register.ESP, Register.EBP, Register.ESI, Register.EDI];
    private static readonly Register[] Segments = [Register.ES, Register.CS, Register.SS, Register.DS, Register.FS, Register.GS];
    private static readonly ushort[] FarSelectors =
    [
        0x23, 0x23, 0x23, 0x2B, 0, 0x08, 0x63, 0x103, OracleSegments.Selector(0), OracleSegments.Selector(6), OracleSegments.Selector(7),
        OracleSegments.Selector(8), OracleSegments.Selector(12), OracleSegments.Selector(14),
    ];

    private ushort[] _selectors = [.. TestVector.Usual];

    /// <summary>The registers' values before the vector; memory operands are computed from them.</summary>
    public uint[] Gpr { get; set; } = new uint[8];

    /// <summary>Registers (bit n) that hold pointers and are seldom written.</summary>
    public int Pinned { get; set; }

    /// <summary>Whether operands should mostly not fault, because more instructions follow.</summary>
    public bool Careful { get; set; }

    /// <summary>Registers (bit n) that addresses were computed from since this was cleared.</summary>
    public int Used { get; set; }

    /// <summary>The last memory operand's base register, or -1, and where it led, in its segment.</summary>
    public (int Base, uint Offset) LastOperand { get; set; } = (-1, 0);

    /// <summary>DS, ES, FS, GS, CS, SS.</summary>
    public ushort[] Selectors
    {
        get => _selectors;
        set
        {
            _selectors = value;
            Bits = OracleSegments.Load(value[4]).Is32Bit ? 32 : 16;
        }
    }

    /// <summary>The code segment's size.</summary>
    public int Bits { get; private set; } = 32;

    /// <summary>The segment that a prefix or default names.</summary>
    public Dbt.Translator.State.Segment SegmentOf(Register register) => OracleSegments.Load(_selectors[register switch
    {
        Register.ES => 1,
        Register.FS => 2,
        Register.GS => 3,
        Register.CS => 4,
        Register.SS => 5,
        _ => 0,
    }]);

    /// <summary>Assembles one instruction of an encoding; null where the drawn operands do not go together.</summary>
    public byte[]? Generate(Code code)
    {
        OpCodeInfo info = code.ToOpCode();
        var instruction = new Instruction { Code = code };
        for (int i = 0; i < info.OpCount; i++)
        {
            if (!Operand(ref instruction, info, i))
            {
                return null;
            }
        }

        Prefixes(ref instruction, info);
        var writer = new CodeWriterList();
        var encoder = Encoder.Create(Bits, writer);
        if (!encoder.TryEncode(instruction, 0, out _, out _))
        {
            return null;
        }

        if (random.Next(50) == 0)
        {
            // A prefix too many: without meaning, with another one, or illegal. No REP before branches: an AMD processor
            // then cuts EIP to 16 bits even where a 16-bit LOOPE is not taken.
            byte[] prefixes = [0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3];
            bool branch = instruction.Op0Kind is OpKind.NearBranch16 or OpKind.NearBranch32;
            byte prefix = prefixes[random.Next(branch ? 9 : prefixes.Length)];
            if (prefix == 0xF0 && instruction.Mnemonic is Mnemonic.Verr or Mnemonic.Verw)
            {
                return null;                        // an AMD processor takes LOCK there; the manuals of both say #UD
            }

            writer.Bytes.Insert(0, prefix);
        }

        return [.. writer.Bytes];
    }

    private bool Operand(ref Instruction instruction, OpCodeInfo info, int index)
    {
        OpCodeOperandKind kind = info.GetOpKind(index);
        switch (kind)
        {
            case OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r32_or_mem
                or OpCodeOperandKind.mm_or_mem or OpCodeOperandKind.xmm_or_mem:
                if (random.Next(2) == 0)
                {
                    Memory(ref instruction, info, index);
                }
                else
                {
                    Reg(ref instruction, index, kind);
                }

                return true;
            case OpCodeOperandKind.mem or OpCodeOperandKind.mem_mib or OpCodeOperandKind.sibmem:
                Memory(ref instruction, info, index);
                return true;
            case OpCodeOperandKind.mem_offs:
                instruction.SetOpKind(index, OpKind.Memory);
                instruction.MemoryDisplSize = random.Next(20) == 0 == (Bits == 32) ? 2 : 4;
                Segment(ref instruction);
                instruction.MemoryDisplacement32 = Offset(instruction.SegmentPrefix, Target(info), info);
                if (instruction.MemoryDisplSize == 2)
                {
                    instruction.MemoryDisplacement32 &= 0xFFFF;
                }

                return true;
            case OpCodeOperandKind.farbr2_2 or OpCodeOperandKind.farbr4_2:
                bool wide = kind == OpCodeOperandKind.farbr4_2;
                instruction.SetOpKind(index, wide ? OpKind.FarBranch32 : OpKind.FarBranch16);
                instruction.FarBranchSelector = FarSelectors[random.Next(FarSelectors.Length)];
                if (wide)
                {
                    instruction.FarBranch32 = Backgrounds.ReturnTarget - OracleSegments.Load(instruction.FarBranchSelector).Base;
                }
                else
                {
                    instruction.FarBranch16 = (ushort)(random.Next(2) == 0 ? random.Next(65536) : 0x1E00 + random.Next(64));
                }

                return true;
            case OpCodeOperandKind.br16_1 or OpCodeOperandKind.br16_2:
                instruction.SetOpKind(index, OpKind.NearBranch16);
                instruction.NearBranch16 = 16;
                return true;
            case OpCodeOperandKind.br32_1 or OpCodeOperandKind.br32_4:
                instruction.SetOpKind(index, OpKind.NearBranch32);
                instruction.NearBranch32 = 16;
                return true;
            case OpCodeOperandKind.seg_rSI:
                instruction.SetOpKind(index, Address16() ? OpKind.MemorySegSI : OpKind.MemorySegESI);
                Segment(ref instruction);
                return true;
            case OpCodeOperandKind.es_rDI:
                bool small = index > 0 ? instruction.Op0Kind == OpKind.MemorySegSI : Address16();
                instruction.SetOpKind(index, small ? OpKind.MemoryESDI : OpKind.MemoryESEDI);
                return true;
            case OpCodeOperandKind.seg_rDI:
                instruction.SetOpKind(index, Address16() ? OpKind.MemorySegDI : OpKind.MemorySegEDI);
                Segment(ref instruction);
                return true;
            case OpCodeOperandKind.seg_rBX_al:
                instruction.SetOpKind(index, OpKind.Memory);
                instruction.MemoryBase = Address16() ? Register.BX : Register.EBX;
                instruction.MemoryIndex = Register.AL;
                Segment(ref instruction);
                return true;
            default:
                return Immediate(ref instruction, index, kind) || Reg(ref instruction, index, kind);
        }
    }

    private bool Immediate(ref Instruction instruction, int index, OpCodeOperandKind kind)
    {
        uint value = Backgrounds.Value(random);
        switch (kind)
        {
            case OpCodeOperandKind.imm8 or OpCodeOperandKind.imm4_m2z:
                instruction.SetOpKind(index, index > 0 && instruction.GetOpKind(index - 1) is OpKind.Immediate8 or OpKind.Immediate16 ? OpKind.Immediate8_2nd : OpKind.Immediate8);
                if (instruction.GetOpKind(index) == OpKind.Immediate8_2nd)
                {
                    // ENTER's level: high ones copy much.
                    instruction.Immediate8_2nd = (byte)(random.Next(2) == 0 ? 0 : value);
                }
                else
                {
                    instruction.Immediate8 = (byte)value;
                }

                return true;
            case OpCodeOperandKind.imm8_const_1:
                instruction.SetOpKind(index, OpKind.Immediate8);
                instruction.Immediate8 = 1;
                return true;
            case OpCodeOperandKind.imm8sex16:
                instruction.SetOpKind(index, OpKind.Immediate8to16);
                instruction.Immediate8to16 = (sbyte)value;
                return true;
            case OpCodeOperandKind.imm8sex32:
                instruction.SetOpKind(index, OpKind.Immediate8to32);
                instruction.Immediate8to32 = (sbyte)value;
                return true;
            case OpCodeOperandKind.imm16:
                instruction.SetOpKind(index, OpKind.Immediate16);
                instruction.Immediate16 = (ushort)(Careful ? value & 0xFF : value);
                return true;
            case OpCodeOperandKind.imm32:
                instruction.SetOpKind(index, OpKind.Immediate32);
                instruction.Immediate32 = value;
                return true;
            default:
                return false;
        }
    }

    private bool Reg(ref Instruction instruction, int index, OpCodeOperandKind kind)
    {
        Register register = kind switch
        {
            OpCodeOperandKind.r8_or_mem or OpCodeOperandKind.r8_reg or OpCodeOperandKind.r8_opcode => Registers8[General8(index)],
            OpCodeOperandKind.r16_or_mem or OpCodeOperandKind.r16_reg or OpCodeOperandKind.r16_reg_mem or OpCodeOperandKind.r16_rm
                or OpCodeOperandKind.r16_opcode => Registers16[General(index)],
            OpCodeOperandKind.r32_or_mem or OpCodeOperandKind.r32_reg or OpCodeOperandKind.r32_reg_mem or OpCodeOperandKind.r32_rm
                or OpCodeOperandKind.r32_opcode or OpCodeOperandKind.r32_vvvv => Registers32[General(index)],
            OpCodeOperandKind.mm_reg or OpCodeOperandKind.mm_rm or OpCodeOperandKind.mm_or_mem => Register.MM0 + random.Next(8),
            OpCodeOperandKind.xmm_reg or OpCodeOperandKind.xmm_rm or OpCodeOperandKind.xmm_or_mem => Register.XMM0 + random.Next(8),
            OpCodeOperandKind.seg_reg => Segments[random.Next(6)],
            OpCodeOperandKind.cr_reg => Register.CR0 + random.Next(5),
            OpCodeOperandKind.dr_reg => Register.DR0 + random.Next(8),
            OpCodeOperandKind.sti_opcode => Register.ST0 + random.Next(8),
            OpCodeOperandKind.st0 => Register.ST0,
            OpCodeOperandKind.es => Register.ES,
            OpCodeOperandKind.cs => Register.CS,
            OpCodeOperandKind.ss => Register.SS,
            OpCodeOperandKind.ds => Register.DS,
            OpCodeOperandKind.fs => Register.FS,
            OpCodeOperandKind.gs => Register.GS,
            OpCodeOperandKind.al => Register.AL,
            OpCodeOperandKind.cl => Register.CL,
            OpCodeOperandKind.ax => Register.AX,
            OpCodeOperandKind.dx => Register.DX,
            OpCodeOperandKind.eax => Register.EAX,
            _ => Register.None,
        };
        if (register == Register.None)
        {
            return false;
        }

        instruction.SetOpKind(index, OpKind.Register);
        instruction.SetOpRegister(index, register);
        return true;
    }

    private int General(int operand)
    {
        // The first operand is mostly the destination: pointers are spared.
        for (int tries = 0; ; tries++)
        {
            int register = random.Next(8);
            if (operand != 0 || (Pinned >> register & 1) == 0 || tries == 4)
            {
                return register;
            }
        }
    }

    private int General8(int operand)
    {
        for (int tries = 0; ; tries++)
        {
            int register = random.Next(8);
            if (operand != 0 || (Pinned >> (register & 3) & 1) == 0 || tries == 4)
            {
                return register;
            }
        }
    }

    private bool Address16() => random.Next(Careful ? 60 : 12) == 0 == (Bits == 32);

    // An offset that leads to a linear address; in a segment that does not span all, mostly one inside, or at its ends.
    private uint Offset(Register register, uint target, OpCodeInfo info)
    {
        Dbt.Translator.State.Segment segment = SegmentOf(register);
        if (segment.Low == 0 && segment.High == uint.MaxValue)
        {
            return target - segment.Base;
        }

        uint span = Math.Min(segment.High - segment.Low, 0x2FFF);
        return random.Next(Careful ? 40 : 8) switch
        {
            0 => segment.High + 1 - (uint)Math.Max(1, info.MemorySize.GetSize()) + (uint)random.Next(-1, 2),
            1 => segment.Low - (uint)random.Next(0, 3),
            3 => segment.High + 1 - (uint)random.Next(0, 18),
            2 => target - segment.Base,
            _ => segment.Low + (uint)random.NextInt64((span > 16 ? span - 16 : 0) + 1),
        };
    }

    private void Segment(ref Instruction instruction)
    {
        if (random.Next(6) == 0)
        {
            instruction.SegmentPrefix = Segments[Careful && random.Next(4) != 0 ? random.Next(4) : random.Next(6)];
        }
    }

    private void Memory(ref Instruction instruction, OpCodeInfo info, int index)
    {
        instruction.SetOpKind(index, OpKind.Memory);
        Segment(ref instruction);
        uint target = Target(info);
        if (Address16())
        {
            Memory16(ref instruction, target, info);
            return;
        }

        int form = random.Next(8);
        int @base = form == 0 ? -1 : form < 6 && Pinned != 0 ? PinnedRegister() : random.Next(8);
        int indexRegister = form is 0 or > 3 ? -1 : random.Next(8);
        if (indexRegister == 4)
        {
            indexRegister = -1;
        }

        if (Careful && indexRegister >= 0 && (Pinned >> indexRegister & 1) == 0 && random.Next(4) != 0)
        {
            indexRegister = -1;
        }

        int scale = 1 << random.Next(4);
        target = Offset(instruction.SegmentPrefix != Register.None ? instruction.SegmentPrefix : @base is 4 or 5 ? Register.SS : Register.DS, target, info);
        LastOperand = (@base, target);
        Used |= (@base >= 0 ? 1 << @base : 0) | (indexRegister >= 0 ? 1 << indexRegister : 0);
        if (@base >= 0)
        {
            instruction.MemoryBase = Registers32[@base];
            target -= Gpr[@base];
        }

        if (indexRegister >= 0)
        {
            instruction.MemoryIndex = Registers32[indexRegister];
            instruction.MemoryIndexScale = scale;
            target -= Gpr[indexRegister] * (uint)scale;
        }

        instruction.MemoryDisplacement32 = target;
        instruction.MemoryDisplSize = @base >= 0 && (int)target is >= -128 and < 128 && random.Next(3) != 0 ? (target == 0 && @base != 5 && random.Next(2) == 0 ? 0 : 1) : 4;
        if (@base < 0 && indexRegister < 0)
        {
            instruction.MemoryDisplSize = 4;
        }
    }

    private void Memory16(ref Instruction instruction, uint target, OpCodeInfo info)
    {
        (Register, Register)[] forms =
        [
            (Register.BX, Register.SI), (Register.BX, Register.DI), (Register.BP, Register.SI), (Register.BP, Register.DI),
            (Register.SI, Register.None), (Register.DI, Register.None), (Register.BP, Register.None), (Register.BX, Register.None),
        ];
        (instruction.MemoryBase, instruction.MemoryIndex) = forms[random.Next(8)];
        instruction.MemoryDisplSize = random.Next(3) switch { 0 when instruction.MemoryBase != Register.BP || instruction.MemoryIndex != Register.None => 0, 1 => 1, _ => 2 };
        if (Bits == 32 && random.Next(4) != 0)
        {
            // The only data within reach lie behind a segment base.
            instruction.SegmentPrefix = random.Next(2) == 0 ? Register.FS : Register.GS;
        }

        int[] registers = [Number(instruction.MemoryBase), Number(instruction.MemoryIndex)];
        Register segment = instruction.SegmentPrefix != Register.None ? instruction.SegmentPrefix
            : instruction.MemoryBase == Register.BP ? Register.SS : Register.DS;
        uint offset = Offset(segment, target, info);
        uint displacement = offset - registers.Where(r => r >= 0).Aggregate(0u, (sum, r) => sum + Gpr[r]);
        LastOperand = (registers[0], offset);
        Used |= registers.Where(r => r >= 0).Aggregate(0, (mask, r) => mask | (1 << r));
        instruction.MemoryDisplacement32 = instruction.MemoryDisplSize switch
        {
            0 => 0,
            1 => (uint)(sbyte)random.Next(256) & 0xFFFF,
            _ when Bits == 32 && random.Next(2) == 0 => (uint)random.Next(65536),
            _ => displacement & 0xFFFF,
        };

        static int Number(Register register) => register switch
        {
            Register.BX => 3,
            Register.BP => 5,
            Register.SI => 6,
            Register.DI => 7,
            _ => -1,
        };
    }

    private int PinnedRegister()
    {
        int register = random.Next(8);
        while ((Pinned >> register & 1) == 0)
        {
            register = (register + 1) & 7;
        }

        return register;
    }

    /// <summary>A linear address for a memory operand.</summary>
    public uint Target(OpCodeInfo info)
    {
        int size = Math.Max(1, info.MemorySize.GetSize());
        if (info.IsPrivileged || size < 2)
        {
            size = 8;
        }

        uint before = (uint)random.Next(1, Math.Max(2, size));
        int draw = random.Next(Careful ? 600 : 100);
        return draw switch
        {
            < 3 => ReadOnly - before,
            < 6 => ReadOnly + (uint)random.Next(0x1000),
            < 9 => ReadOnly + 0x1000 - before,
            < 12 => ReadOnly + 0x1000 + (uint)random.Next(0x1000),
            < 15 => Island - before,
            < 17 => Island + 0x1000 - before,
            < 20 => OracleLayout.Code + (uint)random.Next(0x2000),
            < 21 => Backgrounds.Any(random),
            // Processors divide wide operands differently where they wrap around.
            < 22 when size <= 8 => (uint)random.Next(-8, 8),
            < 30 => Data + 0x1000 - before,
            < 40 => Island + (uint)random.Next(0xFF0),
            < 70 => Data + (uint)random.Next(0x1FF0),
            < 75 when info.MemorySize.GetSize() is 4 or 6 => Backgrounds.ReturnAddresses + (uint)(4 * random.Next(0x60)),
            _ => Data + ((uint)random.Next(0x1F0) * 16),
        };
    }

    private void Prefixes(ref Instruction instruction, OpCodeInfo info)
    {
        if (info.CanUseLockPrefix && instruction.Op0Kind == OpKind.Memory && random.Next(6) == 0)
        {
            instruction.HasLockPrefix = true;
        }

        if (info.CanUseRepPrefix && random.Next(2) == 0)
        {
            instruction.HasRepPrefix = true;
        }
        else if (info.CanUseRepnePrefix && random.Next(3) == 0)
        {
            instruction.HasRepnePrefix = true;
        }
    }

    /// <summary>Collects an encoder's bytes.</summary>
    private sealed class CodeWriterList : CodeWriter
    {
        public List<byte> Bytes { get; } = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }
}
