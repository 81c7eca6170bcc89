using System.Globalization;
using System.Text;
using Dbt.Translator.State;
using Dbt.Xen.Memory;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Xen.Diagnostics;

/// <summary>What is left of a crashed guest for a person to read: reason, registers, disassembly around EIP, stack trace.</summary>
/// <param name="Reason">One line.</param>
/// <param name="Text">Registers, disassembly and stack, many lines.</param>
public sealed unsafe record CrashReport(string Reason, string Text)
{
    private const int CodeBytes = 48, CodeBefore = 16, StackWords = 32;

    /// <summary>Describes a processor that doesn't run at the moment.</summary>
    /// <param name="domain">Its domain.</param>
    /// <param name="vcpu">Which processor; null for the first.</param>
    /// <param name="reason">One line.</param>
    public static CrashReport Capture(Domain domain, Vcpu? vcpu, string reason)
    {
        vcpu ??= domain.Vcpus.Count > 0 ? domain.Vcpus[0] : null;
        var text = new StringBuilder();
        if (vcpu is not null && vcpu.State != null)
        {
            Registers(text, vcpu);
            Code(text, vcpu);
            Stack(text, vcpu);
            StackTrace.Write(text, vcpu);
            PageTableListing.Write(text, vcpu);
            text.AppendLine("Last hypercalls: " + string.Join(' ', vcpu.Hypercalls.Recent));
        }

        return new CrashReport(reason, text.ToString());
    }

    private static void Registers(StringBuilder text, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        uint* r = cpu->Gpr;
        text.AppendLine(CultureInfo.InvariantCulture, $"VCPU {vcpu.Id}, ring {cpu->Cpl}");
        text.AppendLine(CultureInfo.InvariantCulture, $"EAX {r[0]:x8}  ECX {r[1]:x8}  EDX {r[2]:x8}  EBX {r[3]:x8}");
        text.AppendLine(CultureInfo.InvariantCulture, $"ESP {r[4]:x8}  EBP {r[5]:x8}  ESI {r[6]:x8}  EDI {r[7]:x8}");
        text.AppendLine(CultureInfo.InvariantCulture, $"EIP {StackTrace.Name(vcpu.Domain, cpu->Eip)}  EFLAGS {LazyFlags.Read(cpu):x8}");
        foreach (SegmentIndex index in Enum.GetValues<SegmentIndex>())
        {
            ref Segment segment = ref cpu->Segments[index];
            text.Append(CultureInfo.InvariantCulture, $"{index.ToString().ToUpperInvariant()} {segment.Selector:x4}  ");
        }

        text.AppendLine();
        text.AppendLine(CultureInfo.InvariantCulture, $"CR0 {cpu->Cr0:x8}  CR2 {cpu->Cr2:x8}  CR3 {cpu->Cr3:x8}  CR4 {cpu->Cr4:x8}");
    }

    private static void Code(StringBuilder text, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        ref Segment code = ref cpu->Segments[SegmentIndex.Cs];
        text.AppendLine("Code:");
        Span<byte> bytes = stackalloc byte[CodeBytes];
        uint start = Math.Max(CodeBefore, cpu->Eip) - CodeBefore;

        // Bytes before EIP may not begin at an instruction: the start is moved until a decoded one ends at EIP.
        int length = vcpu.Decoder.Fetch(start, bytes);
        if (length <= cpu->Eip - start)
        {
            start = cpu->Eip;
            length = vcpu.Decoder.Fetch(start, bytes);
        }

        if (length == 0)
        {
            text.AppendLine("  not readable");
            return;
        }

        List<Instruction> instructions = [];
        for (int skip = 0; skip <= cpu->Eip - start; skip++)
        {
            instructions = Decode(bytes[skip..length].ToArray(), start + (uint)skip, code.Is32Bit ? 32 : 16);
            if (instructions.Exists(i => i.IP32 == cpu->Eip))
            {
                break;
            }
        }

        var formatter = new NasmFormatter();
        var output = new StringOutput();
        foreach (Instruction instruction in instructions)
        {
            formatter.Format(instruction, output);
            string mark = instruction.IP32 == cpu->Eip ? "=>" : "  ";
            text.AppendLine(CultureInfo.InvariantCulture, $"{mark} {instruction.IP32:x8}  {output.ToStringAndReset()}");
        }
    }

    private static List<Instruction> Decode(byte[] bytes, uint at, int bits)
    {
        var list = new List<Instruction>();
        var reader = new ByteArrayCodeReader(bytes);
        Decoder decoder = Decoder.Create(bits, reader);
        decoder.IP = at;
        while (reader.CanReadByte)
        {
            decoder.Decode(out Instruction instruction);
            if (decoder.LastError == DecoderError.NoMoreBytes)
            {
                break;
            }

            list.Add(instruction);
        }

        return list;
    }

    private static void Stack(StringBuilder text, Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        uint at = cpu->Segments[SegmentIndex.Ss].Base + cpu->Gpr[(int)Gpr.Esp];
        text.AppendLine("Stack:");
        for (int i = 0; i < StackWords; i++, at += 4)
        {
            if (!GuestAccess.TryRead(vcpu, at, out uint word))
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"  {at:x8}: not readable");
                return;
            }

            if (i % 8 == 0)
            {
                text.Append(CultureInfo.InvariantCulture, $"  {at:x8}:");
            }

            text.Append(CultureInfo.InvariantCulture, $" {word:x8}");
            if (i % 8 == 7)
            {
                text.AppendLine();
            }
        }
    }
}
