using System.Net;
using System.Net.Sockets;

namespace Dbt.Tests.Devices.Nat;

/// <summary>A real server on the host's loopback, each connection handled by a task.</summary>
internal sealed class HostServer : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly List<Task> _tasks = [];

    public HostServer(Func<Socket, Task> serve)
    {
        _listener.Start(512);
        Port = (ushort)((IPEndPoint)_listener.LocalEndpoint).Port;
        _ = Loop(serve);
    }

    public ushort Port { get; }

    public int Accepted { get; private set; }

    /// <summary>All connections have been served; an exception of one is thrown.</summary>
    public bool IsDone
    {
        get
        {
            lock (_tasks)
            {
                _tasks.Find(task => task.IsFaulted)?.GetAwaiter().GetResult();
                return _tasks.Count > 0 && _tasks.TrueForAll(task => task.IsCompleted);
            }
        }
    }

    public static async Task<byte[]> ReadAll(Socket socket)
    {
        var all = new MemoryStream();
        var buffer = new byte[65536];
        while (true)
        {
            int count = await socket.ReceiveAsync(buffer);
            if (count == 0)
            {
                return all.ToArray();
            }

            all.Write(buffer, 0, count);
        }
    }

    public static async Task Write(Socket socket, ReadOnlyMemory<byte> data)
    {
        while (data.Length > 0)
        {
            data = data[await socket.SendAsync(data)..];
        }
    }

    public void Dispose() => _listener.Dispose();

    private async Task Loop(Func<Socket, Task> serve)
    {
        while (true)
        {
            Socket socket;
            try
            {
                socket = await _listener.AcceptSocketAsync();
            }
            catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
            {
                return;
            }

            lock (_tasks)
            {
                Accepted++;
                _tasks.Add(Task.Run(async () =>
                {
                    using (socket)
                    {
                        await serve(socket);
                    }
                }));
            }
        }
    }
}
