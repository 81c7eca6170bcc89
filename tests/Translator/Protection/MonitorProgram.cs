using System.Buffers.Binary;
using Iced.Intel;
using static Dbt.Tests.Translator.Protection.MonitorLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Protection;

/// <summary>
/// A kernel that does nothing but run cases: it restores its tables, prepares the case, enters its ring with IRET, and writes the state
/// that the handler finds to the debug console. Assembled at test time; loaded by a multiboot loader or into a machine of ours.
/// </summary>
internal sealed class MonitorProgram(bool paging)
{
    private const int CurrentRecord = 0;
    private readonly Dictionary<string, Label> _labels = [];

    private static AssemblerMemoryOperand Variable(int offset) => __dword_ptr[(int)Variables + offset];

    /// <summary>Writes code, tables and header into an image.</summary>
    public void Assemble(byte[] image, uint cases, out uint entry, out Dictionary<string, uint> places)
    {
        var a = new Assembler(32);
        Label start = a.CreateLabel(), fault = a.CreateLabel();
        Label[] stubs = new Label[0x50];
        Label loop = a.CreateLabel(), common = a.CreateLabel();

        // Multiboot header of the flat kind: magic, flags, checksum, header, load, load end, bss end, entry (patched below).
        a.Label(ref start);
        WriteStart(a, loop);
        WriteLoop(a, ref loop, cases);
        for (int i = 0; i < stubs.Length; i++)
        {
            stubs[i] = a.CreateLabel();
            a.Label(ref stubs[i]);
            if (i is not (8 or 10 or 11 or 12 or 13 or 14 or 17))
            {
                a.push(0);
            }

            a.push(i);
            a.jmp(common);
        }

        WriteFaultTask(a, ref fault, common);
        _labels["fault-task"] = fault;
        WriteCommon(a, ref common, loop);
        MonitorOps.Write(a, (name, write) =>
        {
            Label label = a.CreateLabel();
            a.Label(ref label);
            _labels[name] = label;
            write(a);
        });

        using var stream = new MemoryStream();
        AssemblerResult result = a.Assemble(new StreamCodeWriter(stream), Image + 0x40, BlockEncoderOptions.ReturnNewInstructionOffsets);
        byte[] code = stream.ToArray();
        if (code.Length > Tables - Image - 0x40)
        {
            throw new InvalidOperationException("The monitor outgrew its place.");
        }

        code.CopyTo(image, 0x40);
        entry = (uint)result.GetLabelRIP(start);
        places = _labels.ToDictionary(l => l.Key, l => (uint)result.GetLabelRIP(l.Value));
        WriteHeader(image, entry);
        (image[Landing - Image], image[Landing + 1 - Image]) = (0xCD, Done);
        WriteTables(image, [.. stubs.Select(s => (uint)result.GetLabelRIP(s))], places);
        if (paging)
        {
            MonitorPaging.WriteTables(image);
        }
    }

    private static void WriteHeader(byte[] image, uint entry)
    {
        const uint magic = 0x1BADB002, flags = 0x10000;
        uint[] header = [magic, flags, unchecked(0u - magic - flags), Image, Image, Image + (uint)image.Length, Image + (uint)image.Length, entry];
        for (int i = 0; i < header.Length; i++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(i * 4), header[i]);
        }
    }

    private void WriteStart(Assembler a, Label loop)
    {
        Label flat = a.CreateLabel();
        a.cli();
        a.mov(esp, MonitorStack);
        a.mov(al, 0xFF);
        a.@out(0x21, al); // no interrupts from a PC's controllers
        a.@out(0xA1, al);
        WriteTableLoads(a);
        a.call(flat);
        a.Label(ref flat);
        a.pop(eax);
        a.push(CodeOf(0));
        a.add(eax, 10);
        a.push(eax);
        a.retf(); // to ten bytes behind the label
        WriteSegments(a);
        a.mov(Variable(CurrentRecord), (int)Records);
        if (paging)
        {
            MonitorPaging.WriteStart(a);
        }

        a.jmp(loop);
    }

    private static void WriteTableLoads(Assembler a)
    {
        a.mov(__word_ptr[(int)Variables + 0x40], 0x1FF);
        a.mov(__dword_ptr[(int)Variables + 0x42], (int)Gdt);
        a.mov(__word_ptr[(int)Variables + 0x48], 0x27F);
        a.mov(__dword_ptr[(int)Variables + 0x4A], (int)Idt);
        a.lgdt(__[(int)Variables + 0x40]);
        a.lidt(__[(int)Variables + 0x48]);
    }

    private static void WriteSegments(Assembler a)
    {
        a.mov(eax, DataOf(0));
        a.mov(ds, eax);
        a.mov(es, eax);
        a.mov(ss, eax);
        a.mov(esp, MonitorStack);
        a.mov(fs, eax);
        a.mov(gs, eax);
    }

    private void WriteLoop(Assembler a, ref Label loop, uint cases)
    {
        Label go = a.CreateLabel(), virtual8086 = a.CreateLabel(), inner = a.CreateLabel(), enter = a.CreateLabel();
        a.Label(ref loop);
        a.cmp(Variable(CurrentRecord), (int)(Records + (cases * RecordLength)));
        a.jb(go);
        a.mov(dx, 0xF4);
        a.mov(al, 0);
        a.@out(dx, al);
        a.hlt();
        a.Label(ref go);

        // Everything as it was: tables, LDT, task, control and debug registers.
        a.cld();
        a.mov(esi, Pristine);
        a.mov(edi, Tables);
        a.mov(ecx, TablesLength / 4);
        a.rep.movsd();
        WriteTableLoads(a);
        a.push(2);
        a.popfd();
        a.mov(eax, LocalTable);
        a.lldt(ax);
        a.mov(eax, MainTask);
        a.ltr(ax);
        a.clts();
        a.xor(eax, eax);
        a.mov(dr7, eax);
        a.mov(dr6, eax);
        if (paging)
        {
            MonitorPaging.WriteRestore(a);
        }
        else
        {
            a.mov(eax, 0x11);
            a.mov(cr0, eax);
            a.xor(eax, eax);
            a.mov(cr4, eax);
        }

        a.mov(esi, Variable(CurrentRecord));
        foreach ((int from, uint to) in new[] { (DescriptorA, Gdt + SlotA), (DescriptorB, Gdt + SlotB) })
        {
            a.mov(eax, __dword_ptr[esi + from]);
            a.mov(__dword_ptr[(int)to], eax);
            a.mov(eax, __dword_ptr[esi + from + 4]);
            a.mov(__dword_ptr[(int)to + 4], eax);
        }

        a.call(__dword_ptr[esi + Setup]);
        a.mov(esi, Variable(CurrentRecord));
        a.test(__dword_ptr[esi + Eflags], 1 << 17);
        a.jnz(virtual8086);
        a.test(__dword_ptr[esi + Cs], 3);
        a.jnz(inner);
        a.mov(ecx, __dword_ptr[esi + Ss]);
        a.mov(eax, DataOf(3));
        a.mov(ds, eax);
        a.mov(es, eax);
        a.mov(ss, ecx);
        a.mov(esp, TestStack);
        a.jmp(enter);

        a.Label(ref virtual8086);
        a.mov(esp, HandlerStack - 0x400);
        foreach (int segment in new[] { 0x40, 0x30, 0x20, 0x10 })
        {
            a.push(segment); // GS, FS, DS, ES
        }

        a.push(__dword_ptr[esi + Ss]);
        a.push(0xFFF0);
        a.jmp(enter);

        a.Label(ref inner);
        a.mov(eax, DataOf(3));
        a.mov(ds, eax);
        a.mov(es, eax);
        a.mov(esp, HandlerStack - 0x400);
        a.push(__dword_ptr[esi + Ss]);
        a.push(TestStack);

        a.Label(ref enter);
        a.push(__dword_ptr[esi + Eflags]);
        a.push(__dword_ptr[esi + Cs]);
        a.push(__dword_ptr[esi + Op]);
        a.mov(eax, __dword_ptr[esi + Eax]);
        a.mov(ebx, __dword_ptr[esi + Ebx]);
        a.mov(ecx, __dword_ptr[esi + Ecx]);
        a.mov(edx, __dword_ptr[esi + Edx]);
        a.mov(edi, Scratch);
        a.mov(ebp, 0x0B0B0B0B);
        a.iretd();
    }

    // A double fault comes by a task gate: what the task switch saved takes the place of a frame.
    private static void WriteFaultTask(Assembler a, ref Label fault, Label common)
    {
        a.Label(ref fault);
        a.pop(eax);
        a.push(__dword_ptr[(int)MainTss + 0x50]); // SS
        a.push(__dword_ptr[(int)MainTss + 0x38]); // ESP
        a.push(__dword_ptr[(int)MainTss + 0x24]);
        a.push(3); // the level is known from the vector
        a.push(__dword_ptr[(int)MainTss + 0x20]);
        a.push(eax);
        a.push(8);
        a.jmp(common);
    }

    private static void WriteCommon(Assembler a, ref Label common, Label loop)
    {
        // Frame from ESP: GS, FS, ES, DS, eight registers, vector, error, EIP, CS, EFLAGS, ESP, SS.
        const int registers = 16, vector = 48, error = 52, eip = 56, cs = 60, eflags = 64, esp0 = 68, ss0 = 72;
        int[] words =
        [
            vector, error, eflags, registers + 28, registers + 16, registers + 24, registers + 20, cs, eip, 12, 8, 4, 0,
        ];
        Label switched = a.CreateLabel(), stored = a.CreateLabel(), noCr2 = a.CreateLabel();
        a.Label(ref common);
        a.pushad();
        a.push(ds);
        a.push(es);
        a.push(fs);
        a.push(gs);
        a.mov(eax, DataOf(0));
        a.mov(ds, eax);
        a.mov(es, eax);
        for (int i = 0; i < words.Length; i++)
        {
            a.mov(eax, __dword_ptr[esp + words[i]]);
            if (words[i] is cs or 12 or 8 or 4 or 0)
            {
                a.and(eax, 0xFFFF);
            }

            a.mov(__dword_ptr[(int)Results + (i * 4)], eax);
        }

        // Stack: from the frame where it was switched.
        a.test(__dword_ptr[esp + cs], 3);
        a.jnz(switched);
        a.test(__dword_ptr[esp + eflags], 1 << 17);
        a.jnz(switched);
        a.lea(eax, __[esp + esp0]);
        a.mov(edx, ss);
        a.jmp(stored);
        a.Label(ref switched);
        a.mov(eax, __dword_ptr[esp + esp0]);
        a.mov(edx, __dword_ptr[esp + ss0]);
        a.Label(ref stored);
        a.and(edx, 0xFFFF);
        a.mov(__dword_ptr[(int)Results + 52], eax);
        a.mov(__dword_ptr[(int)Results + 56], edx);
        a.xor(eax, eax);
        a.cmp(__dword_ptr[esp + vector], 14);
        a.jne(noCr2);
        a.mov(eax, cr2);
        a.Label(ref noCr2);
        a.mov(__dword_ptr[(int)Results + 60], eax);
        a.mov(eax, dr6);
        a.mov(__dword_ptr[(int)Results + 64], eax);
        a.xor(eax, eax);
        a.str(ax);
        a.mov(__dword_ptr[(int)Results + 68], eax);
        a.mov(esi, Variable(CurrentRecord));
        for (int i = 0; i < 2; i++)
        {
            Label none = a.CreateLabel();
            a.mov(eax, __dword_ptr[esi + Aux0 + (i * 4)]);
            a.test(eax, eax);
            a.jz(none);
            a.mov(eax, __dword_ptr[eax]);
            a.Label(ref none);
            a.mov(__dword_ptr[(int)Results + 72 + (i * 4)], eax);
        }

        a.mov(ecx, __dword_ptr[esi + Length]);
        a.mov(esi, Results);
        a.mov(dx, 0xE9);
        a.cld();
        a.rep.outsb();
        WriteSegments(a);
        a.add(Variable(CurrentRecord), RecordLength);
        a.jmp(loop);
    }

    private static void WriteTables(byte[] image, uint[] stubs, Dictionary<string, uint> places)
    {
        void Put64(uint address, ulong value)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan((int)(address - Image)), value);
        }

        void Put32(uint address, uint value)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan((int)(address - Image)), value);
        }

        for (int ring = 0; ring < 4; ring++)
        {
            Put64(Gdt + CodeOf(ring) & ~7u, Descriptors.Code(ring));
            Put64(Gdt + DataOf(ring) & ~7u, Descriptors.Data(ring));
        }

        Put64(Gdt + MainTask, Descriptors.System(9, 0, MainTss, 0x8F));
        Put64(Gdt + LocalTable, Descriptors.System(2, 0, Ldt, 0x7F));
        Put64(Gdt + OtherTask, Descriptors.System(9, 3, OtherTss, 0x67));
        Put64(Gdt + SmallTask, Descriptors.System(1, 3, SmallTss, 0x2B));
        Put64(Gdt + FaultTask, Descriptors.System(9, 0, FaultTss, 0x67));
        for (int ring = 0; ring < 4; ring++)
        {
            Put64(Ldt + (uint)(ring * 16), Descriptors.Code(ring));
            Put64(Ldt + (uint)(ring * 16) + 8, Descriptors.Data(ring));
        }

        for (int i = 0; i < 0x50; i++)
        {
            Put64(Idt + ((uint)i * 8), Descriptors.Gate(0xE, i is Done or TestVector or 3 or 4 ? 3 : 0, CodeOf(0), stubs[i]));
        }

        Put64(Idt + (8 * 8), Descriptors.Gate(5, 0, FaultTask, 0));
        uint[] stacks = [HandlerStack, DataOf(0), InnerStack1, DataOf(1), InnerStack2, DataOf(2)];
        foreach (uint task in new[] { MainTss, OtherTss, FaultTss })
        {
            for (int i = 0; i < stacks.Length; i++)
            {
                Put32(task + 4 + ((uint)i * 4), stacks[i]);
            }

            Put32(task + 0x1C, MonitorPaging.Cr3);
            Put32(task + 0x20, places[task == FaultTss ? "fault-task" : "task"]);
            Put32(task + 0x24, 2);
            Put32(task + 0x28, 0x11110001);
            Put32(task + 0x38, OtherStack);
            for (uint i = 0; i < 6; i++)
            {
                Put32(task + 0x48 + (i * 4), i == 1 ? CodeOf(0) : DataOf(0));
            }

            Put32(task + 0x60, LocalTable);
            Put32(task + 0x64, 0x68u << 16);
        }

        // The main task's I/O map: ports 0 to 0xFF, every third forbidden, then the byte of ones.
        for (uint i = 0; i < 0x20; i++)
        {
            image[MainTss + 0x68 + i - Image] = (byte)(0x49 << (int)(i % 3));
        }

        image[MainTss + 0x88 - Image] = 0xFF;
        WriteSmallTask(image, places["task"]);
        image.AsSpan((int)(Tables - Image), TablesLength).CopyTo(image.AsSpan((int)(Pristine - Image)));
    }

    private static void WriteSmallTask(byte[] image, uint entry)
    {
        void Put16(uint offset, uint value) => BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan((int)(SmallTss + offset - Image)), (ushort)value);
        Put16(2, OtherStack & 0xFFFF);
        Put16(4, DataOf(0));
        Put16(0x0E, entry & 0xFFFF);
        Put16(0x10, 2);
        Put16(0x12, 0x2222);
        Put16(0x1A, 0x8000);
        foreach ((uint offset, ushort selector) in new[] { (0x22u, DataOf(0)), (0x24u, (ushort)SlotA), (0x26u, (ushort)SlotB), (0x28u, DataOf(0)) })
        {
            Put16(offset, selector);
        }

        Put16(0x2A, LocalTable);
    }
}
