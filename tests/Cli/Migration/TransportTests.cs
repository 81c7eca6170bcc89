using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Dbt.Cli.Migration;
using Dbt.Cli.Migration.Messages;
using Google.Protobuf;

namespace Dbt.Tests.Cli.Migration;

/// <summary>Keys, trust, TLS, frames; and peers that mean harm.</summary>
public sealed class TransportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-migration").FullName;
    private readonly List<string> _log = [];
    private readonly FakeWorld _world = new();
    private readonly MigrationListener _listener;

    public TransportTests() => _listener = new MigrationListener(
        "127.0.0.1:0", new SecureConnection(Folder("there")), new CountingArrivals(_world.Arrivals), new MigrationOptions(), Log, TimeSpan.FromSeconds(2));

    public void Dispose()
    {
        _listener.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
#pragma warning disable CA1416 // there is no Windows build
    public void AKeyIsMadeOnceAndReadableByItsOwnerAlone()
    {
        var identity = new MigrationIdentity(Folder("a"));
        string first = MigrationIdentity.Fingerprint(identity.Load());
        Assert.Equal(first, MigrationIdentity.Fingerprint(identity.Load()));
        string file = Path.Combine(Folder("a"), "identity.pem");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.NotEqual(first, MigrationIdentity.Fingerprint(new MigrationIdentity(Folder("b")).Load()));
        File.SetUnixFileMode(file, File.GetUnixFileMode(file) | UnixFileMode.GroupRead);
        Assert.Contains("others can read", Assert.Throws<MigrationException>(() => identity.Load()).Message, StringComparison.Ordinal);
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        File.WriteAllText(file, "nonsense");
        Assert.Contains("remove it", Assert.Throws<MigrationException>(() => identity.Load()).Message, StringComparison.Ordinal);
    }
#pragma warning restore CA1416

    [Fact]
    public void ManyWhoNeedAKeyAtOnceGetTheSame()
    {
        for (int round = 0; round < 20; round++)
        {
            string folder = Folder($"c{round}");
            string[] all = new string[8];
            using var together = new Barrier(all.Length);
            Thread[] threads = [.. Enumerable.Range(0, all.Length).Select(i => new Thread(() =>
            {
                together.SignalAndWait();
                all[i] = MigrationIdentity.Fingerprint(new MigrationIdentity(folder).Load());
            }))];
            Array.ForEach(threads, static thread => thread.Start());
            Array.ForEach(threads, static thread => thread.Join());
            Assert.Single(all.Distinct());
        }
    }

    [Fact]
    public void TrustIsGivenByNameAndTakenAway()
    {
        var peers = new TrustedPeers(Folder("a"));
        X509Certificate2 own = new MigrationIdentity(Folder("a")).Load(), other = new MigrationIdentity(Folder("b")).Load();
        Assert.Equal("this user", peers.NameOf(own, own));
        Assert.Null(peers.NameOf(other, own));
        peers.Add("b", other.ExportCertificatePem());
        Assert.Equal("b", peers.NameOf(other, own));
        Assert.Throws<MigrationException>(() => peers.Add("b", other.ExportCertificatePem()));
        Assert.Equal("b", Assert.Single(peers.List()).Name);
        peers.Remove("b");
        Assert.Null(peers.NameOf(other, own));
        Assert.Throws<MigrationException>(() => peers.Remove("b"));
        foreach (string name in (string[])["", "../x", ".x", "a/b", "a b"])
        {
            Assert.Throws<MigrationException>(() => peers.Add(name, other.ExportCertificatePem()));
        }

        Assert.Throws<MigrationException>(() => peers.Add("c", "no certificate"));
    }

    [Theory]
    [InlineData("host", "host", 8004)]
    [InlineData("host:1", "host", 1)]
    [InlineData("10.0.0.1:65535", "10.0.0.1", 65535)]
    [InlineData("[::1]:9", "::1", 9)]
    [InlineData("[::1]", "::1", 8004)]
    [InlineData("fe80::1", "fe80::1", 8004)]
    public void TargetsAreRead(string text, string host, int port) => Assert.Equal((host, port), NetworkPath.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData(":1")]
    [InlineData("host:")]
    [InlineData("host:0")]
    [InlineData("host:65536")]
    [InlineData("host:x")]
    [InlineData("[::1]x")]
    public void NonsenseIsNoTarget(string text)
    {
        Assert.Throws<MigrationException>(() => NetworkPath.Parse(text));
    }

    [Fact]
    public void AGuestMovesOverTls()
    {
        Trust("here", "there");
        Trust("there", "here");
        var migration = new OutgoingMigration(_world.Departing, PathFrom("here"), new MigrationOptions(), static _ => { });
        migration.Run(new TaskCompletionSource<bool>().Task, CancellationToken.None);
        Await(() => _world.There == FakeWorld.Copy.Running);
        Assert.Equal((FakeWorld.Copy.None, null), (_world.Here, _world.Wrong));
        Assert.Contains(migration.PauseParts, part => part.What == "there: all");
    }

    [Fact]
    public void ItMovesBetweenDaemonsOfOneUser()
    {
        new OutgoingMigration(_world.Departing, PathFrom("there"), new MigrationOptions(), static _ => { }).Run(new TaskCompletionSource<bool>().Task, CancellationToken.None);
        Await(() => _world.There == FakeWorld.Copy.Running);
    }

    /// <summary>The target has enough while the source is sending more than a connection holds.</summary>
    [Fact]
    public void WhyItIsRefusedIsHeardAboveAllThatIsOnItsWay()
    {
        (_world.Full, _world.Pages) = ("the machine has no memory left", 1 << 14);
        Assert.Equal("the machine has no memory left", Assert.Throws<MigrationException>(() => Move("there")).Message);
        Assert.Equal((FakeWorld.Copy.Running, FakeWorld.Copy.None), (_world.Here, _world.There));
        Await(() => Said("no memory left"));
    }

    [Fact]
    public void WhoIsNotTrustedGetsNoWord()
    {
        // The target doesn't trust the source.
        Trust("here", "there");
        Exception thrown = Assert.ThrowsAny<Exception>(() => Move("here"));
        Assert.True(thrown is MigrationException, thrown.ToString());
        Await(() => Said("isn't trusted here"));

        // The source doesn't trust the target.
        Trust("there", "stranger");
        Assert.Contains("isn't trusted here", Assert.Throws<MigrationException>(() => Move("stranger")).Message, StringComparison.Ordinal);
        Assert.Equal((FakeWorld.Copy.Running, FakeWorld.Copy.None), (_world.Here, _world.There));
    }

    [Fact]
    public void NobodyThereIsSaid()
    {
        _listener.Dispose();
        Assert.Contains("doesn't listen on port", Assert.Throws<MigrationException>(() => Move("there")).Message, StringComparison.Ordinal);
        Assert.Equal(FakeWorld.Copy.Running, _world.Here);
    }

    [Fact]
    public void StrangersWithAnyBytesDoNoHarm()
    {
        var random = new Random(7);
        for (int i = 0; i < 40; i++)
        {
            using Socket socket = Dial();
            byte[] bytes = new byte[random.Next(5000)];
            random.NextBytes(bytes);
            if (i % 3 == 0 && bytes.Length > 5)
            {
                // The head of a TLS record, so that what follows is looked at.
                ((ReadOnlySpan<byte>)[22, 3, 1, 2, 0]).CopyTo(bytes);
            }

            try
            {
                socket.Send(bytes);
            }
            catch (SocketException)
            {
            }
        }

        ItStillServes();
    }

    [Fact]
    public void ManyWhoSaySlowlyNothingAreLetGo()
    {
        var sockets = Enumerable.Range(0, 200).Select(_ => Dial()).ToList();
        try
        {
            // Each has two seconds here; those beyond the limit are turned away at once.
            foreach (Socket socket in sockets)
            {
                socket.ReceiveTimeout = 60_000;
                Assert.True(IsClosed(socket), "a silent stranger is still there");
            }
        }
        finally
        {
            sockets.ForEach(static socket => socket.Dispose());
        }

        ItStillServes();
    }

    [Fact]
    public void PeersThatSendNonsenseAreRefusedAndCostNothing()
    {
        Trust("there", "here");
        Trust("here", "there");
        var random = new Random(3);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        for (int i = 0; i < 60; i++)
        {
            using IFrameChannel channel = PathFrom("here").Connect();
            channel.Limit(TimeSpan.FromMinutes(1));
            try
            {
                if (i % 2 == 0)
                {
                    channel.Send(FrameType.Hello, new Hello { Version = MigrationOptions.Version, Id = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()) }.ToByteArray());
                }

                if (i % 4 == 0)
                {
                    channel.Send(FrameType.Offer, new Offer { Name = "x" }.ToByteArray());
                }

                for (int frame = 0; frame < 8; frame++)
                {
                    byte[] bytes = new byte[random.Next(2000)];
                    random.NextBytes(bytes);
                    if (random.Next(2) == 0 && bytes.Length >= 8)
                    {
                        // Few pages, so that numbers and lengths are looked at.
                        bytes[0] = (byte)random.Next(3);
                        bytes[1] = bytes[2] = bytes[3] = 0;
                    }

                    channel.Send((FrameType)random.Next(1, 12), bytes);
                }

                while (true)
                {
                    channel.Receive(out _);
                }
            }
            catch (IOException)
            {
            }
        }

        Assert.NotEqual(FakeWorld.Copy.Running, _world.There);
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, long.MinValue, 64 << 20);
        ItStillServes();
    }

    [Theory]
    [InlineData(0x7FFFFFFF, 5)]
    [InlineData(-1, 5)]
    [InlineData(PageBatch.MostBytes + 1, 5)]
    [InlineData(FramedChannel.MostMessage + 1, 1)]
    [InlineData(0, 0)]
    [InlineData(FramedChannel.MostOffer + 1, 12)]
    [InlineData(0, 13)]
    [InlineData(0, 255)]
    public void ALengthThatCannotBeIsNotBelieved(int length, byte type)
    {
        byte[] frame = new byte[64];
        BitConverter.TryWriteBytes(frame, length);
        frame[4] = type;
        using var channel = new FramedChannel(new MemoryStream(frame));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<IOException>(() => channel.Receive(out _));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000);
    }

    [Fact]
    public void TooMuchStateIsRefused()
    {
        Trust("there", "here");
        Trust("here", "there");
        using IFrameChannel channel = PathFrom("here").Connect();
        channel.Limit(TimeSpan.FromMinutes(2));
        channel.Send(FrameType.Hello, new Hello { Version = MigrationOptions.Version, Id = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()) }.ToByteArray());
        channel.Send(FrameType.Offer, new Offer { Name = "x" }.ToByteArray());
        byte[] part = new byte[FramedChannel.MostState];
        Action tooMuch = () =>
        {
            for (long sent = 0; sent < 1L << 30; sent += part.Length)
            {
                channel.Send(FrameType.State, part);
            }

            while (true)
            {
                channel.Receive(out _);
            }
        };
        Assert.ThrowsAny<Exception>(tooMuch);
        Await(() => Said("makes no sense"));
    }

    [Fact]
    public void APeerOfAnotherVersionIsToldSo()
    {
        using IFrameChannel channel = PathFrom("there").Connect();
        channel.Send(FrameType.Hello, new Hello { Version = 99, Id = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()) }.ToByteArray());
        Assert.Contains($"version {MigrationOptions.Version}", Assert.Throws<MigrationException>(() => Frames.Expect(channel, FrameType.Welcome, Welcome.Parser)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OlderTlsAndNoCertificateAreRefused()
    {
        using Socket socket = Dial();
        using var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        Exception? thrown = Record.Exception(() =>
        {
            stream.AuthenticateAsClient(new SslClientAuthenticationOptions { TargetHost = "", RemoteCertificateValidationCallback = static (_, _, _, _) => true });
            stream.ReadExactly(new byte[1]);
        });
        Assert.NotNull(thrown);
        Await(() => Said("127.0.0.1"));
        ItStillServes();
    }

    private string Folder(string name) => Path.Combine(_folder, name, "migration");

    private void Trust(string who, string whom)
    {
        Directory.CreateDirectory(Path.Combine(_folder, who));
        new TrustedPeers(Folder(who)).Add(whom, new MigrationIdentity(Folder(whom)).Load().ExportCertificatePem());
    }

    private NetworkPath PathFrom(string who) => new($"127.0.0.1:{_listener.EndPoint.Port}", new SecureConnection(Folder(who)));

    private void Move(string who) => new OutgoingMigration(_world.Departing, PathFrom(who), new MigrationOptions(), static _ => { })
        .Run(new TaskCompletionSource<bool>().Task, CancellationToken.None);

    private Socket Dial()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Connect(new IPEndPoint(IPAddress.Loopback, _listener.EndPoint.Port));
        return socket;
    }

    private void ItStillServes() => Await(() =>
    {
        try
        {
            using IFrameChannel channel = PathFrom("there").Connect();
            channel.Send(FrameType.Hello, new Hello { Version = MigrationOptions.Version, Id = ByteString.CopyFrom(Guid.NewGuid().ToByteArray()), Question = true }.ToByteArray());
            Frames.Expect(channel, FrameType.Welcome, Welcome.Parser);
            return !Frames.Expect(channel, FrameType.Answer, Answer.Parser).Running;
        }
        catch (IOException)
        {
            // All places are taken for the moment.
            return false;
        }
    });

    private void Log(string line)
    {
        lock (_log)
        {
            _log.Add(line);
        }
    }

    private bool Said(string text)
    {
        lock (_log)
        {
            return _log.Exists(line => line.Contains(text, StringComparison.Ordinal));
        }
    }

    private static bool IsClosed(Socket socket)
    {
        try
        {
            return socket.Receive(new byte[1]) == 0;
        }
        catch (SocketException exception)
        {
            return exception.SocketErrorCode is SocketError.ConnectionReset;
        }
    }

    private static void Await(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromMinutes(1)), "it did not come about");

    // Pages of nonsense are refused as a real guest would, not by a failed assertion on a thread of the listener's.
    private sealed class CountingArrivals(IArrivals inner) : IArrivals
    {
        public IArrivingGuest Prepare(Offer offer) => offer.Name == "fake" ? inner.Prepare(offer) : new Picky();

        private sealed class Picky : IArrivingGuest
        {
            public void Put(uint number, ReadOnlySpan<byte> page) => Check(number);

            public void PutZero(uint number) => Check(number);

            public void PrepareCode(ReadOnlySpan<byte> list) => throw new MigrationException("the list is nonsense");

            public void Finish(Stream state, IDictionary<string, ulong> took) => throw new MigrationException("the state is nonsense");

            public void Run(TimeSpan heldFor) => throw new InvalidOperationException("it was never finished");

            public void Drop()
            {
            }

            private static void Check(uint number)
            {
                if (number > 1000)
                {
                    throw new MigrationException("no such page");
                }
            }
        }
    }
}
