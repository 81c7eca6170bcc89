using System.Buffers.Binary;
using Dbt.Translator.Instructions;
using Dbt.Translator.State;
using Iced.Intel;
using static Dbt.Tests.Translator.Oracle.OracleLayout;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>In what segments vectors run.</summary>
internal enum SegmentChoice
{
    /// <summary>Linux's flat ones, and two of the thread's in FS and GS.</summary>
    Usual,

    /// <summary>32-bit code with segments of every kind.</summary>
    Any,

    /// <summary>16-bit code with segments of every kind.</summary>
    Sixteen,
}

/// <summary>Draws test vectors from the rows of the instruction table.</summary>
internal sealed partial class VectorGenerator
{
    private readonly Random _random;
    private readonly InstructionGenerator _instructions;
    private readonly Candidate[][] _rows;
    private readonly bool _mostlyTranslated;
    private readonly bool _fx;

    /// <param name="random">Where every choice comes from: its seed reproduces the vectors.</param>
    /// <param name="rows">Encodings by row, as <see cref="Candidate.All"/> gives them.</param>
    /// <param name="mostlyTranslated">Whether sequences are to hold few instructions that translated code leaves to the interpreter.</param>
    public VectorGenerator(Random random, Candidate[][] rows, bool mostlyTranslated = false)
    {
        _mostlyTranslated = mostlyTranslated;
        _random = random;
        _rows = rows;
        _fx = rows.Any(row => row[0].Row.TestClass is TestClass.Fpu or TestClass.Simd);
        _instructions = new InstructionGenerator(random);
    }

    /// <summary>In what segments vectors run.</summary>
    public SegmentChoice Choice { get; set; }

    /// <summary>Draws a vector of a number of instructions.</summary>
    public TestVector Make(int count)
    {
        while (true)
        {
            DrawSelectors();
            TestVector? vector = count == 1 ? Single() : Sequence(count);
            if (vector is not null && !FlagTracker.ReadsUndefined(vector))
            {
                return vector;
            }
        }
    }

    /// <summary>Draws a vector whose instructions run several times: a counted loop around them.</summary>
    /// <param name="count">Instructions in the loop.</param>
    /// <param name="most">Iterations at most.</param>
    public TestVector MakeLoop(int count, int most = 30)
    {
        while (true)
        {
            DrawSelectors();
            TestVector? vector = Sequence(count);
            if (vector is null || vector.CodeLength > 100)
            {
                continue;
            }

            // mov dword [counter], n; body; sub dword [counter], 1; jnz body
            uint counter = Island + 0xFF8 - _instructions.SegmentOf(Register.DS).Base;
            byte[] address = BitConverter.GetBytes(counter);
            vector.Code.Insert(0, [0xC7, 0x05, .. address, (byte)_random.Next(2, most), 0, 0, 0]);
            vector.Code.Add([0x83, 0x2D, .. address, 1]);
            vector.Code.Add([0x75, (byte)(vector.Code[0].Length - vector.CodeLength - 2)]);
            if (!FlagTracker.ReadsUndefined(vector))
            {
                return vector;
            }
        }
    }

    private TestVector? Single()
    {
        Candidate[] row = _rows[_random.Next(_rows.Length)];
        Candidate candidate = row[_random.Next(row.Length)];
        uint[] gpr = Registers(candidate.Row.TestClass, false);
        byte[]? bytes = Instruction(candidate);
        _target = candidate.Code.ToOpCode();
        return bytes is null ? null : Place([bytes], gpr);
    }

    private TestVector? Sequence(int count)
    {
        uint[] gpr = Registers(TestClass.Alu, true);
        var code = new List<byte[]>();
        int length = 0;
        while (code.Count < count && length < TestVector.MaxCode - 48)
        {
            Candidate[] row = _rows[_random.Next(_rows.Length)];
            Candidate candidate = row[_random.Next(row.Length)];
            if (candidate.Row.TestClass is TestClass.System or TestClass.Segment && _random.Next(40) != 0)
            {
                continue;
            }

            if (candidate.Row.TestClass == TestClass.ControlFlow && !candidate.Code.IsJccShortOrNear() && _random.Next(4) != 0)
            {
                continue;
            }

            // A taken 16-bit branch leads out of the code.
            if ((_mostlyTranslated && !candidate.Translated && _random.Next(10) != 0)
                || (_instructions.Bits == 32 && candidate.Code.ToOpCode().Op0Kind is OpCodeOperandKind.br16_1 or OpCodeOperandKind.br16_2 && _random.Next(20) != 0))
            {
                continue;
            }

            byte[]? bytes = Instruction(candidate);
            if (bytes is not null)
            {
                code.Add(bytes);
                length += bytes.Length;
            }
        }

        return Place(code, gpr);
    }

    private byte[]? Instruction(Candidate candidate)
    {
        byte[]? bytes = _instructions.Generate(candidate.Code);
        if (bytes is null || bytes.Length > 15)
        {
            return null;
        }

        Instruction decoded = Decoder.Create(_instructions.Bits, new ByteArrayCodeReader(bytes), 0).Decode();
        return decoded.IsInvalid || (decoded.Length == bytes.Length && InstructionTable.Lookup(decoded) is not null && Candidate.MayRun(decoded))
            ? bytes : null;
    }

    /// <summary>The last vector's code with another state: registers, flags, and x87, MMX and SSE state.</summary>
    public TestVector Vary(TestVector vector)
    {
        uint[] gpr = [.. vector.Gpr];
        for (int i = 0; i < 8; i++)
        {
            if (i == 4)
            {
                gpr[i] = _random.Next(4) == 0 ? StackPointer() : gpr[i];
            }
            else if (_strings && i >= 6)
            {
                gpr[i] = _random.Next(3) == 0 ? gpr[i] : StringPointer(i);
            }
            else if ((_instructions.Used >> i & 1) != 0)
            {
                gpr[i] += _random.Next(_instructions.Careful ? 8 : 3) switch
                {
                    0 => (uint)_random.Next(-16, 16),
                    1 when _target is { } info && _instructions.LastOperand.Base == i =>
                        _instructions.Target(info) - _instructions.SegmentOf(i == 5 ? Register.SS : Register.DS).Base - _instructions.LastOperand.Offset,
                    1 => (uint)(_random.Next(-16, 16) * 16),
                    _ => 0,
                };
            }
            else
            {
                gpr[i] = Backgrounds.Value(_random);
            }
        }

        Specialise(gpr, _instructions.Used | (_strings ? 0xC0 : 0) | 0x10);
        bool late = _mayBeLate && _random.Next(50) == 0;
        return vector.With(
            gpr: gpr, eflags: DrawFlags() & (late ? ~(Flags.Nt | Flags.Id) : ~0u), fx: vector.Fx is null ? null : DrawFx(), latePage: late);
    }

    private TestClass _class;
    private bool _strings, _inSteps, _mayBeLate;
    private OpCodeInfo? _target;

    private uint[] Registers(TestClass testClass, bool careful)
    {
        uint[] gpr = new uint[8];
        for (int i = 0; i < 8; i++)
        {
            gpr[i] = Backgrounds.Value(_random);
        }

        _class = testClass;
        _strings = testClass == TestClass.String || (careful && _random.Next(2) == 0);
        _target = null;
        int pinned = 1 << 4;
        int pointers = _strings ? 0xC0 : (1 << _random.Next(8)) | (1 << _random.Next(8));
        for (int i = 0; i < 8; i++)
        {
            if ((pointers >> i & 1) != 0)
            {
                gpr[i] = _strings ? StringPointer(i) : Data + (uint)_random.Next(0x1F00) - _instructions.SegmentOf(Register.DS).Base;
                pinned |= 1 << i;
            }
        }

        if (_strings && _random.Next(4) == 0)
        {
            // The one a little before or behind the other.
            gpr[7] = gpr[6] + (uint)_random.Next(-9, 10) + _instructions.SegmentOf(Register.DS).Base - _instructions.SegmentOf(Register.ES).Base;
        }

        _instructions.Gpr = gpr;
        _instructions.Pinned = pinned;
        _instructions.Careful = careful;
        _instructions.Used = 0;
        _instructions.LastOperand = (-1, 0);
        gpr[4] = StackPointer();
        Specialise(gpr, pinned);
        return gpr;
    }

    private uint StringPointer(int register)
    {
        uint target = _random.Next(_instructions.Careful ? 60 : 8) switch
        {
            0 => Data + 0x1000 - (uint)_random.Next(1, 40),
            1 => ReadOnly + (uint)_random.Next(-20, 20),
            2 => Island + (uint)_random.Next(-20, 20),
            3 => Island + 0xFF0 + (uint)_random.Next(16),
            _ => Data + (uint)_random.Next(0x1F00),
        };
        return target - _instructions.SegmentOf(register == 7 ? Register.ES : Register.DS).Base;
    }

    private uint StackPointer()
    {
        Dbt.Translator.State.Segment stack = _instructions.SegmentOf(Register.SS);
        uint pointer = _random.Next(_instructions.Careful ? 1000 : 30) switch
        {
            0 => Backgrounds.Value(_random),
            1 => Data + 0x2000,
            2 => ReadOnly + (uint)_random.Next(16),
            3 => Island + (uint)_random.Next(16),
            4 => Data + 0x1000 + (uint)_random.Next(8),
            5 when stack.High < 0x10000 => stack.Base + stack.High + 1 - (uint)_random.Next(10),
            6 when stack.Low > 0 => stack.Base + stack.Low + (uint)_random.Next(10),
            7 when stack.High < 0x10000 => stack.Base + (uint)_random.Next(10),
            < 10 when _instructions.Bits == 16 => Backgrounds.ShortFrames + (uint)(10 * _random.Next(4)),
            < 10 => Backgrounds.ReturnAddresses + (uint)(4 * _random.Next(16)),
            < 14 => Backgrounds.Frames + (uint)(20 * _random.Next(16)),
            _ => Data + 0x1000 + (uint)(4 * _random.Next(0x3C0)),
        };
        pointer -= stack.Base;

        // A 16-bit stack ignores the upper half.
        return stack.Is32Bit || _random.Next(2) == 0 ? pointer : (pointer & 0xFFFF) | ((uint)_random.Next(0x4000) << 16);
    }

    // What a class of instructions needs in the registers that hold no addresses.
    private void Specialise(uint[] gpr, int pinned)
    {
        if (_strings && _random.Next(4) != 0)
        {
            gpr[1] = (uint)_random.Next(20);
        }

        switch (_class)
        {
            case TestClass.Divide when _random.Next(3) != 0 && (pinned & 4) == 0:
                gpr[2] = _random.Next(2) == 0 ? 0 : (uint)((int)gpr[0] >> 31);
                break;
            case TestClass.Bit when _random.Next(2) == 0:
                Draw(() => (uint)_random.Next(-64, 2000));
                break;
            case TestClass.ControlFlow when _random.Next(2) == 0:
                uint target = Backgrounds.ReturnTarget - _instructions.SegmentOf(Register.CS).Base;
                Draw(() => target + (uint)_random.Next(64));
                break;
            case TestClass.ControlFlow when (pinned & 2) == 0:
                gpr[1] = (uint)_random.Next(3);
                break;
            case TestClass.Segment:
                uint[] selectors = [0, 3, 0x23, 0x2B, 0x63, 0x6B, 0x73, 0x18, 0x08, 0x2A, 0x28, 0x20, 0x83, 0x61];
                Draw(() => _random.Next(2) == 0 ? selectors[_random.Next(selectors.Length)] : (uint)(_random.Next(18) * 8) | 4 | (uint)_random.Next(4));
                break;
        }

        void Draw(Func<uint> value)
        {
            for (int i = 0; i < 8; i++)
            {
                if ((pinned >> i & 1) == 0)
                {
                    gpr[i] = value();
                }
            }
        }
    }

    private void DrawSelectors()
    {
        ushort[] selectors = [.. TestVector.Usual];
        if (Choice == SegmentChoice.Usual)
        {
            if (_random.Next(20) == 0)
            {
                ushort[] choice = [0, 0x2B, HarnessProgram.Tls0, HarnessProgram.Tls1, HarnessProgram.Tls2, 0x23];
                selectors[_random.Next(4)] = choice[_random.Next(choice.Length)];
            }
        }
        else
        {
            for (int i = 0; i < 4; i++)
            {
                selectors[i] = _random.Next(3) != 0 ? OracleSegments.Any[_random.Next(OracleSegments.Any.Length)] : selectors[i];
            }

            ushort[] code = Choice == SegmentChoice.Sixteen ? OracleSegments.Code16 : OracleSegments.Code32;
            selectors[4] = code[_random.Next(code.Length)];
            selectors[5] = OracleSegments.Stacks[_random.Next(OracleSegments.Stacks.Length)];
        }

        _instructions.Selectors = selectors;
    }

    // DPPS and DPPD compute in steps, and stop at the step that raises an unmasked exception; here their flags are those of all steps.
    private byte[] DrawFx()
    {
        byte[] fx = FxStates.Make(_random);
        if (_inSteps)
        {
            (fx[24], fx[25]) = ((byte)(fx[24] | 0x80), (byte)(fx[25] | 0x1F));
        }

        return fx;
    }

    private uint DrawFlags()
    {
        uint flags = Flags.Fixed | Flags.If | ((uint)_random.Next(4096) & Flags.Status);
        if (_random.Next(8) == 0)
        {
            flags |= Flags.Df;
        }

        if (_random.Next(100) == 0)
        {
            flags |= _random.Next(2) == 0 ? Flags.Nt : Flags.Id;
        }

        return flags;
    }

    private TestVector? Place(List<byte[]> code, uint[] gpr)
    {
        int length = code.Sum(c => c.Length);
        int start = _random.Next(20) switch
        {
            0 => 0x1000 - _random.Next(1, Math.Max(2, length)),
            1 => 0x2000 - length + _random.Next(-1, Math.Max(1, Math.Min(3, length - 1))),
            _ => 0x100 + _random.Next(0x200),
        };

        // What does not fit in front of the absent page is cut off: the fetch of the rest faults.
        int excess = start + length - 0x2000;
        if (excess > -8 && Decoder.Create(_instructions.Bits, new ByteArrayCodeReader(code[^1]), 0).Decode().Mnemonic is Mnemonic.Ud0 or Mnemonic.Ud1 or Mnemonic.INVALID)
        {
            // Processors differ in whether UD0 and UD1 fetch their operand.
            return null;
        }

        if (excess > 0)
        {
            if (excess >= code[^1].Length)
            {
                return null;
            }

            code[^1] = code[^1][..^excess];
        }

        PatchBranches(code);
        Mnemonic[] mnemonics = [.. code.Select(c => Decoder.Create(_instructions.Bits, new ByteArrayCodeReader(c), 0).Decode().Mnemonic)];
        _inSteps = mnemonics.Any(m => m is Mnemonic.Dpps or Mnemonic.Dppd);

        // Linux clears NT and ID on the way back from the handler that makes the page present.
        _mayBeLate = !mnemonics.Any(m => m is Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Iret or Mnemonic.Iretd);
        return new TestVector
        {
            Code = code,
            Gpr = gpr,
            Eflags = DrawFlags(),
            Fx = _fx && _random.Next(20) != 0 ? DrawFx() : null,
        }.At(start, _instructions.Selectors);
    }

    // Near branches lead forward to the start of an instruction, or to the INT3 at the end.
    private void PatchBranches(List<byte[]> code)
    {
        for (int i = 0; i < code.Count; i++)
        {
            byte[] bytes = code[i];
            Instruction decoded = Decoder.Create(_instructions.Bits, new ByteArrayCodeReader(bytes), 0).Decode();
            if (decoded.IsInvalid || decoded.Length != bytes.Length || decoded.Op0Kind is not (OpKind.NearBranch16 or OpKind.NearBranch32))
            {
                continue;
            }

            int distance = code.Skip(i + 1).Take(_random.Next(code.Count - i)).Sum(c => c.Length);
            switch (decoded.Code.ToOpCode().Op0Kind)
            {
                case OpCodeOperandKind.br16_1 or OpCodeOperandKind.br32_1 when distance < 128:
                    bytes[^1] = (byte)distance;
                    break;
                case OpCodeOperandKind.br16_2:
                    BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(bytes.Length - 2), (short)distance);
                    break;
                case OpCodeOperandKind.br32_4:
                    BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(bytes.Length - 4), distance);
                    break;
                default:
                    bytes[^1] = 0;
                    break;
            }
        }
    }
}
